#ifndef EDGEPROXY_TIMERS_H
#define EDGEPROXY_TIMERS_H

#include <stdbool.h>

#include "engine.h"

/* What is looked at once a second of each connection: silence, what peers acknowledge, long ones without keepalive times.
 * A part of it: true when this was the last. */
bool scan(engine *e);

#endif

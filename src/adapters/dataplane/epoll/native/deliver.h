#ifndef EDGEPROXY_DELIVER_H
#define EDGEPROXY_DELIVER_H

#include "engine.h"

/* Hands what happened to JavaScript, in one call of `deliver(count, records)` of the engine's object; the rest of it in
 * the next turn. */
void deliver(engine *e);

#endif

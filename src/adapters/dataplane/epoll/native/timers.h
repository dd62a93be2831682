#ifndef EDGEPROXY_TIMERS_H
#define EDGEPROXY_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* Where a look at all connections goes on. */
struct scan {
  /* Index of a slot of the table. */
  uint32_t from;
  /* Counts the looks. */
  uint32_t pass;
};

/* What is looked at once a second: silence, what peers acknowledge, listeners that are paused, long connections without
 * keepalive times. A part of it: true when this was the last. */
bool scan(struct engine *e);

#endif

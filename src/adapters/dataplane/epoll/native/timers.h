#ifndef EDGEPROXY_TIMERS_H
#define EDGEPROXY_TIMERS_H

struct engine;

/* What is looked at once a second: silence, listeners that are paused, long connections without keepalive times. */
void scan(struct engine *e);

#endif

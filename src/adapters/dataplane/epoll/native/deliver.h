#ifndef EDGEPROXY_DELIVER_H
#define EDGEPROXY_DELIVER_H

struct engine;

/* Hands everything that happened to JavaScript, in one call of `deliver(count, records)` of the engine's object. */
void deliver(struct engine *e);

#endif

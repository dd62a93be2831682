#ifndef EDGEPROXY_DELIVER_H
#define EDGEPROXY_DELIVER_H

struct engine;

/* Hands what happened to JavaScript, in one call of `deliver(count, records)` of the engine's object; the rest of it in
 * the next turn. */
void deliver(struct engine *e);

#endif

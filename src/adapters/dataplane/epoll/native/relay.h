#ifndef EDGEPROXY_RELAY_H
#define EDGEPROXY_RELAY_H

#include <stdint.h>

#include "engine.h"

/* Bytes may flow: a connection has become open. It may be over when this returns. */
void relay_start(engine *e, connection *c);
/* A side of an open connection has something to tell, by its epoll `events`. It may be over when this returns. */
void relay_ready(engine *e, connection *c, int side, uint32_t events);
/* Connections that have more to move take turns, until `share` ns are over. */
void relay_bulk(engine *e, uint64_t share);
/* To be called once a second for a connection of which a side has failed: resets the other side when that has acknowledged
 * all that the failed one had finished, and had time to read it and to end by itself. */
void relay_check(engine *e, connection *c);

/* The peer of a side was sent to and answers nothing any more. It may be over when this returns. */
void relay_vanished(engine *e, connection *c, int side);

#endif

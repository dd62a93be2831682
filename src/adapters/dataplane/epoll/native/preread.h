#ifndef EDGEPROXY_PREREAD_H
#define EDGEPROXY_PREREAD_H

#include "engine.h"

/* Waits for the first bytes of a client that was accepted. It may be over when this returns. */
void preread_await(engine *e, connection *c);
/* The client's socket has something to tell, by its epoll `events`, before it is open. It may be over afterwards. */
void preread_ready(engine *e, connection *c, uint32_t events);
/* From now on it is told when the client, which waits for an answer, is gone. It may be over when this returns. */
void preread_watch(engine *e, connection *c);
/* More is wanted. The connection may be over when this returns. */
void preread_ask(engine *e, connection *c);
/* The listener is closed: tells of all its clients. The queue may be gone afterwards. */
void preread_queue_close(engine *e, struct preread_queue *queue);
/* Tells of those whose time is over. */
void prereads_expire(engine *e);

#endif

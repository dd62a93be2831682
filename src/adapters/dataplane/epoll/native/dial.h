#ifndef EDGEPROXY_DIAL_H
#define EDGEPROXY_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "connection.h"

/* Connections that are dialling. All dials have the same time, so the first to start is the first to run out of it. */
struct dial_queue {
  /* Numbers; 0: none */
  uint32_t first;
  uint32_t last;
};

/* Dials for a client that waits, or ends the connection of one that is known to be gone. `length` 0: there is no such
 * endpoint. `skip`: bytes of the preread, at most all, that the backend does not get. `contended`: see connection.h. */
void dial_start(struct engine *e, connection *c, const struct sockaddr_storage *to, socklen_t length, uint32_t skip,
                bool contended);
/* The backend's socket has something to tell, by its epoll `events`. */
void dial_ready(struct engine *e, connection *c, uint32_t events);
/* Takes a connection that is ending out of the queue. */
void dial_forget(struct engine *e, connection *c);
/* Fails the dials whose time is over. */
void dials_expire(struct engine *e);

#endif

#ifndef EDGEPROXY_DIAL_H
#define EDGEPROXY_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine.h"

/* Dials for a client that waits, or ends the connection of one that is known to be gone. `length` 0: there is no such
 * endpoint. `skip`: bytes of the preread, at most all, that the backend does not get. `contended`: see connection.h. */
void dial_start(engine *e, connection *c, const struct sockaddr_storage *to, socklen_t length, uint32_t skip,
                bool contended);
/* The backend's socket has something to tell, by its epoll `events`. */
void dial_ready(engine *e, connection *c, uint32_t events);
/* When the time of one that dials is over. In ns. */
static inline uint64_t dial_deadline(const engine *e, const connection *c) {
  return c->dialled_at + e->connect_timeout;
}
/* Fails the dials whose time is over. */
void dials_expire(engine *e);

#endif

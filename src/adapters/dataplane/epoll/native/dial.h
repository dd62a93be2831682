#ifndef EDGEPROXY_DIAL_H
#define EDGEPROXY_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine.h"

/* No read takes more than this, and whoever has more to say of a client does not know of what. */
#define MAX_PREFIX_BYTES (64 * 1024)

/* How a client gets a backend. */
struct dial {
  /* Why it cannot, as an errno; 0: it can. */
  int error;
  /* Where it is. */
  struct sockaddr_storage to;
  socklen_t length;
  /* A socket that is connected with it already, and is the engine's from now on; -1: none */
  int fd;
  /* Bytes of the preread, at most all, that the backend does not get. */
  uint32_t skip;
  /* What it gets before anything of the client's; at most MAX_PREFIX_BYTES. */
  const void *prefix;
  uint32_t prefix_length;
  /* See connection.h. */
  bool contended;
};

/* Dials for a client that waits, or ends the connection of one that is known to be gone. */
void dial_start(engine *e, connection *c, const struct dial *dial);
/* The backend's socket has something to tell, by its epoll `events`. */
void dial_ready(engine *e, connection *c, uint32_t events);
/* When the time of one that dials is over. In ns. */
static inline uint64_t dial_deadline(const engine *e, const connection *c) {
  return c->dialled_at + e->connect_timeout;
}
/* Fails the dials whose time is over. */
void dials_expire(engine *e);

#endif

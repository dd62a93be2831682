#ifndef EDGEPROXY_LISTENER_H
#define EDGEPROXY_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct listener {
  int fd;
  /* By what it is known above. */
  int32_t id;
  /* The kernel cannot give more descriptors or memory: looked at again once a second. */
  bool paused;
};

struct listeners {
  struct listener *list;
  uint32_t count;
  uint32_t capacity;
  uint32_t paused;
  /* A descriptor to give up when there is none, so that a client can be accepted and told. -1: none */
  int reserve_fd;
};

void listeners_free(struct listeners *listeners);

/* Listens on a duplicate of `fd`. Returns 0, or the errno. */
int listener_add(struct engine *e, int fd, int32_t id);
void listeners_stop(struct engine *e);
/* Closes what the engine needs only while it serves. */
void listeners_release(struct engine *e);
/* Accepts what waits, up to a bound a turn, so that other sockets, and other workers, have their share. */
void listener_accept(struct engine *e, uint32_t index);
void listeners_resume(struct engine *e);

#endif

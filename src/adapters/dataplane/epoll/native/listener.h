#ifndef EDGEPROXY_LISTENER_H
#define EDGEPROXY_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct preread_queue;

struct listener {
  int fd;
  /* By what it is known above. */
  int32_t id;
  /* Its clients are told when their first bytes are there. NULL: at once. */
  struct preread_queue *prereads;
  /* The kernel cannot give more descriptors or memory: looked at again once a second. */
  bool paused;
  /* The engine's turn in which it was served last. */
  uint32_t turn;
  /* How often in a row clients waited when it was looked at, while they were left to others. */
  uint8_t waited;
};

struct listeners {
  struct listener *list;
  uint32_t count;
  uint32_t capacity;
  uint32_t paused;
  /* Clients are left to other processes. */
  bool held_back;
  /* A descriptor to give up when there is none, so that a client can be accepted and told. -1: none */
  int reserve_fd;
};

void listeners_free(struct listeners *listeners);

/* Listens on a duplicate of `fd`. `preread_bytes`: of a client's first bytes that are told of, at most; 0: none. Returns 0,
 * or the errno. */
int listener_add(struct engine *e, int fd, int32_t id, uint32_t preread_bytes, uint64_t preread_timeout);
void listeners_stop(struct engine *e);
/* Closes what the engine needs only while it serves. */
void listeners_release(struct engine *e);
/* Accepts what waits, up to a bound a turn, so that other sockets, and other workers, have their share. */
void listener_accept(struct engine *e, uint32_t index);
void listeners_resume(struct engine *e);
/* There are fewer connections than before, or more are allowed. */
void listeners_reconsider(struct engine *e);
/* To be called now and then while clients are left to other processes: takes some when there were some the last time. */
void listeners_look(struct engine *e);

#endif

#ifndef EDGEPROXY_DOOR_H
#define EDGEPROXY_DOOR_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

/*
 * A listening socket, watched in the epoll instance in which the thread sleeps, libuv's own. Many processes wait for clients
 * of one socket; by EPOLLEXCLUSIVE the kernel wakes one of those that sleep, and not all of them for each client. It does so
 * only for an instance that a thread sleeps in, not for one that is nested in another.
 */
struct door;

/* Takes `fd` over, also when it fails. Watches nothing yet. NULL: out of memory, or of watches; errno tells. */
struct door *door_open(struct engine *e, int fd, uint32_t index);
int door_fd(const struct door *door);
/* 0, or the errno. */
int door_watch(struct door *door, bool watched);
/* Watches it by EPOLLEXCLUSIVE, which libuv does not know: once it has begun to watch it in its own way. false: not yet. */
bool door_make_exclusive(struct door *door);
/* Others that wait come first from now on. */
void door_step_back(struct door *door);
/* Closes its descriptor. */
void door_close(struct door *door);

#endif

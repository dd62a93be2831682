#ifndef EDGEPROXY_LISTENER_H
#define EDGEPROXY_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"

void listeners_free(struct listeners *listeners);

/* The engine has its epoll instance. Listens on a duplicate of `fd`. `preread_bytes`: of a client's first bytes that are
 * told of, at most; 0: none. Returns 0, or the errno. */
int listener_add(engine *e, int fd, int32_t id, uint32_t preread_bytes, uint64_t preread_timeout);
void listeners_stop(engine *e);
/* Closes what the engine needs only while it serves. */
void listeners_release(engine *e);
/* Accepts what waits, up to a bound a turn, so that other sockets, and other workers, have their share. */
void listener_accept(engine *e, uint32_t index);
/* A client wakes one process, and not all, from now on; to be called in turns to come while `shared` says so. */
void listeners_make_exclusive(engine *e);
/* Tries again what was paused. */
void listeners_resume(engine *e);
/* Whether clients are left to others: there may be fewer connections than before, or more allowed. */
void listeners_reconsider(engine *e);
/* To be called now and then while clients are left to other processes: takes some when there were some the last time. */
void listeners_look(engine *e);

#endif

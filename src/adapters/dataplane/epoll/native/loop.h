#ifndef EDGEPROXY_LOOP_H
#define EDGEPROXY_LOOP_H

#include "engine.h"

/* Prepares the engine to run in a libuv loop. */
void loop_init(engine *e, struct uv_loop_s *loop);
/* Nests an epoll instance in the loop, unless there is one. Returns 0, or the errno. */
int loop_open(engine *e);
/* Closes whatever the engine holds; `closed` of the engine is called when libuv has let go of it. */
void loop_close(engine *e);

/* Serves the sockets that are ready, and tells when that is done, behind all that came of it. */
void loop_settle(engine *e);

/* To be called after each command: sees to what it left to be done, when the loop can do it. */
void loop_act(engine *e);

#endif

#ifndef EDGEPROXY_LOOP_H
#define EDGEPROXY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;

struct engine;

/* What epoll gives back with an event: a connection's number and side, or a listener's index. */
static inline uint64_t event_tag(uint32_t number, int side) {
  return (uint64_t)number | ((uint64_t)side << 32);
}
#define LISTENER_TAG (1ull << 63)
static inline uint64_t listener_tag(uint32_t index) {
  return LISTENER_TAG | index;
}

/* What runs in this turn has had its share of it: the rest goes on in the next. */
bool loop_is_late(const struct engine *e);

/* Prepares the engine to run in a libuv loop. */
void loop_init(struct engine *e, struct uv_loop_s *loop);
/* Nests an epoll instance in the loop, unless there is one. Returns 0, or the errno. */
int loop_open(struct engine *e);
/* Closes whatever the engine holds; `engine_closed` is called when libuv has let go of it. */
void loop_close(struct engine *e);

/* Serves the sockets that are ready, and tells when that is done, behind all that came of it. */
void settle(struct engine *e);

/* There is something to tell: JavaScript is called after the loop's poll phase, this turn or the next. */
void loop_want_delivery(struct engine *e);
/* There is something to tell that can wait for so many ms. */
void loop_want_delivery_within(struct engine *e, uint64_t ms);
/* Clients are left to other processes, for a while at a time; or no more. */
void loop_want_patience_timer(struct engine *e, bool wanted);
/* There are connections, or paused listeners, to look at once a second. */
void loop_want_scan(struct engine *e);
/* The first dial runs out of time at `deadline`, in ns. */
void loop_want_dial_timer(struct engine *e, uint64_t deadline);
/* The time of some preread is over at `deadline`, in ns. */
void loop_want_preread_timer(struct engine *e, uint64_t deadline);
/* Gives the epoll instance up, and lets the process end and the engine be collected, when there is nothing to do. */
void loop_update_activity(struct engine *e);

#endif

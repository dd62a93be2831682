#include "connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "dial.h"
#include "engine.h"
#include "loop.h"
#include "sockets.h"

bool connection_open(engine *e, int fd, int32_t listener, struct preread_queue *prereads,
                     const struct sockaddr_storage *peer) {
  connection *c = table_take(&e->table);
  if (c == NULL) return false;
  c->state = STATE_WAITING;
  c->accepted_at = e->now;
  c->sides[CLIENT].fd = fd;
  c->sides[BACKEND].fd = -1;
  /* Inherited from the listening socket. */
  c->sides[CLIENT].no_delay = true;
  if (prereads != NULL && !preread_make(e, c, prereads, peer)) {
    table_give_back(&e->table, c);
    return false;
  }
  loop_want_scan(e);
  if (prereads == NULL)
    tell_accepted(e, c, listener, peer, false);
  else
    preread_await(e, c);
  return true;
}

/* The backend's descriptor is closed before: its slot is free only then. The client may come again as soon as it is told
 * of the end, so whoever gives the slot out is told first where that matters. */
static void part(engine *e, connection *c, bool reset) {
  int fd = c->sides[CLIENT].fd;
  if (c->contended && batch_part_later(&e->batch, fd, reset)) return;
  if (reset)
    close_with_reset(fd);
  else
    close(fd);
}

/* All descriptors are closed when this is told, or the client's is about to be. */
static void over(engine *e, connection *c, enum close_reason reason) {
  if (c->state == STATE_DIALLING) dial_forget(e, c);
  for (int i = 0; i < 2; i++) {
    struct side *side = &c->sides[i];
    if (side->waiting != NULL) buffers_release(&e->buffers, side->waiting);
  }
  /* A client whose preread never came had no number. */
  if (preread_is_told(c)) tell_closed(e, c, reason);
  preread_drop(e, c);
  table_give_back(&e->table, c);
  if (e->listeners.held_back) listeners_reconsider(e);
}

/* Whether a close alone would leave a side with less than it should know. */
static bool needs_reset(const connection *c, int side) {
  /* A peer for which bytes are left must not take what it has for the whole. */
  if (c->sides[!side].waiting != NULL) return true;
  /* One that has our end and everything before it, and goes on, is told nothing by a close: a backend would hold for good
   * what we count no more. */
  return c->sides[!side].ended && !c->sides[side].ended && is_acknowledged(c->sides[side].fd);
}

void connection_finish(engine *e, connection *c, enum close_reason reason) {
  bool reset_client = needs_reset(c, CLIENT);
  if (needs_reset(c, BACKEND))
    close_with_reset(c->sides[BACKEND].fd);
  else
    close(c->sides[BACKEND].fd);
  part(e, c, reset_client);
  over(e, c, reason);
}

void connection_reset(engine *e, connection *c, enum close_reason reason) {
  if (c->sides[BACKEND].fd >= 0) close_with_reset(c->sides[BACKEND].fd);
  part(e, c, true);
  over(e, c, reason);
}

void connection_failed(engine *e, connection *c, int side) {
  connection_reset(e, c, reason_of_failure(side));
}

void connection_expire(engine *e, connection *c, enum close_reason reason) {
  if (c->sides[CLIENT].failed)
    connection_failed(e, c, CLIENT);
  else if (c->sides[BACKEND].failed)
    connection_failed(e, c, BACKEND);
  else
    connection_finish(e, c, reason);
}

void connection_reject(engine *e, connection *c, bool reset) {
  if (c->state != STATE_WAITING) return;
  if (reset)
    close_with_reset(c->sides[CLIENT].fd);
  else
    close_with_end(c->sides[CLIENT].fd, &e->buffers);
  over(e, c, REASON_REJECTED);
}

bool side_watch(engine *e, connection *c, int side, bool also_writable) {
  struct side *s = &c->sides[side];
  uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  /* Once wanted, always watched: an edge comes only after a write that was not taken, so it costs nothing. */
  events |= (s->watched & EPOLLOUT) | (also_writable ? EPOLLOUT : 0);
  struct epoll_event event = {.events = events, .data.u64 = event_tag(c->number, side)};
  int operation = s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(e->epoll_fd, operation, s->fd, &event) != 0) return false;
  s->watched = events;
  return true;
}

void side_note(struct side *side, uint32_t events) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side->hung_up = true;
  if ((events & EPOLLPRI) && !side->urgent) {
    side->urgent = true;
    set_urgent_inline(side->fd);
  }
  if (events & EPOLLERR)
    side_failed(side, 0);
  /* Of a failure that has been told there is only a hang-up left. */
  else if ((events & EPOLLRDHUP) && !side->failed)
    side->finished = true;
  if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side->readable = true;
}

void side_failed(struct side *side, int error) {
  if (side->failed) return;
  side->failed = true;
  if (error == 0) error = take_error(side->fd);
  /* The kernel tells EPIPE of a reset that came after the peer's end, and ECONNRESET of another. It tells it once: a read
   * would say then that the peer ended, whatever it did. */
  if (error == EPIPE) side->finished = true;
}

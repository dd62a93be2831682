#include "side.h"

#include <errno.h>
#include <sys/epoll.h>

#include "sockets.h"
#include "tag.h"

bool side_watch(int epoll_fd, connection *c, int side, bool also_writable) {
  struct side *s = &c->sides[side];
  uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  /* Once wanted, always watched: an edge comes only after a write that was not taken, so it costs nothing. */
  events |= (s->watched & EPOLLOUT) | (also_writable ? EPOLLOUT : 0);
  struct epoll_event event = {.events = events, .data.u64 = event_tag(c->number, side)};
  int operation = s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_fd, operation, s->fd, &event) != 0) return false;
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

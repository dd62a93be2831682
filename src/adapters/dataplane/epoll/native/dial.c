#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ending.h"
#include "relay.h"
#include "side.h"
#include "sockets.h"

/* `here`: the kernel refused to dial, and nothing was sent. */
static void fail(engine *e, connection *c, int error, bool here) {
  struct side *backend = &c->sides[BACKEND];
  if (c->state == STATE_DIALLING) queue_remove(&e->dials, &e->table, c);
  if (backend->fd >= 0) close(backend->fd);
  *backend = (struct side){.fd = -1};
  c->state = STATE_WAITING;
  c->contended = false;
  tell_connect_failed(&e->batch, c->number, error, here);
}

static void connected(engine *e, connection *c) {
  if (c->shared_port != 0 && is_own_peer(c->sides[BACKEND].fd, c->shared_port)) {
    /* Without an end the port is free at once, for the backend that is to have it. */
    close_with_reset(c->sides[BACKEND].fd);
    c->sides[BACKEND].fd = -1;
    fail(e, c, ECONNREFUSED, false);
    return;
  }
  c->state = STATE_OPEN;
  c->active_at = e->now;
  tell_connected(&e->batch, c->number, e->now - c->dialled_at);
  relay_start(e, c);
}

void dial_start(engine *e, connection *c, const struct sockaddr_storage *to, socklen_t length, uint32_t skip,
                bool contended) {
  if (c->state != STATE_WAITING) return;
  enum news news = look_at(c->sides[CLIENT].fd);
  /* No backend needs to hear of a client that is gone. */
  if (news == GONE) {
    connection_failed(e, c, CLIENT);
    return;
  }
  preread_take_back(c);
  c->dialled_at = e->now;
  c->contended = contended;
  if (length == 0) {
    fail(e, c, EINVAL, true);
    return;
  }
  if (c->preread != NULL) c->preread->skip = skip;
  struct side *backend = &c->sides[BACKEND];
  *backend = (struct side){.fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  c->shared_port = port_within(to, e->ephemeral);
  if (backend->fd >= 0 && (preread_length(c) > skip || news == SPOKE_OR_ENDED))
    set_acknowledge_with_data(backend->fd);
  if (backend->fd < 0 ||
      (connect(backend->fd, (const struct sockaddr *)to, length) != 0 && errno != EINPROGRESS && errno != EINTR)) {
    fail(e, c, errno, true);
    return;
  }
  /* A backend on this machine has answered by now: that saves a turn of the loop, and to watch for it. */
  if (is_connected(backend->fd)) {
    e->now = uv_hrtime();
    connected(e, c);
    return;
  }
  c->state = STATE_DIALLING;
  queue_add(&e->dials, &e->table, c);
  /* From now on it is told when the client is gone. */
  if (c->sides[CLIENT].watched == 0 && !side_watch(e->epoll_fd, c, CLIENT, false))
    connection_failed(e, c, CLIENT);
  else if (!side_watch(e->epoll_fd, c, BACKEND, true))
    fail(e, c, errno, true);
}

void dial_ready(engine *e, connection *c, uint32_t events) {
  int error = 0;
  if (events & (EPOLLERR | EPOLLHUP)) {
    error = take_error(c->sides[BACKEND].fd);
    /* It was connected and closed in between, which its reader finds out. */
    if (error == 0 && !(events & EPOLLOUT)) error = ECONNABORTED;
  } else if (!(events & EPOLLOUT)) {
    return;
  }
  /* EPIPE: it was connected, has sent its end, and failed then. */
  if (error != 0 && error != EPIPE) {
    fail(e, c, error, false);
    return;
  }
  queue_remove(&e->dials, &e->table, c);
  /* This edge may have told of more than the connection. */
  side_note(&c->sides[BACKEND], events & ~(uint32_t)EPOLLERR);
  if (error != 0) side_failed(&c->sides[BACKEND], error);
  connected(e, c);
}

/* The dial's time is over. A turn begins with its timers: when this thread was held up, the kernel may have had the answer in
 * time. */
static void expire(engine *e, connection *c) {
  struct pollfd look = {.fd = c->sides[BACKEND].fd, .events = POLLOUT};
  if (poll(&look, 1, 0) > 0)
    dial_ready(e, c, (uint32_t)look.revents);
  else
    fail(e, c, ETIMEDOUT, false);
}

void dials_expire(engine *e) {
  connection *c;
  while ((c = queue_first(&e->dials, &e->table)) != NULL) {
    if (dial_deadline(e, c) > e->now || engine_is_late(e)) return;
    expire(e, c);
  }
}

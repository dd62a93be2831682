#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ending.h"
#include "relay.h"
#include "side.h"
#include "sockets.h"

/* Backends that did not answer at once, in a row, after which none is expected to; one in so many dials finds out. */
#define FAR_AFTER 16
#define ASKED_ONE_IN 16

/* `here`: the kernel refused to dial, and nothing was sent. */
static void fail(engine *e, connection *c, int error, bool here) {
  struct side *backend = &c->sides[BACKEND];
  if (c->state == STATE_DIALLING) queue_remove(&e->dials, &e->table, c);
  if (backend->fd >= 0) close(backend->fd);
  *backend = (struct side){.fd = -1};
  struct chunk **prefix = &c->sides[CLIENT].waiting;
  if (*prefix != NULL) buffers_release(&e->buffers, *prefix);
  *prefix = NULL;
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

/* Keeps what the backend gets first, as if the client had sent it, until there is one. false: out of memory. */
static bool keep_prefix(engine *e, connection *c, const struct dial *dial) {
  c->prefix_left = dial->prefix_length;
  if (dial->prefix_length == 0) return true;
  memcpy(e->buffers.scratch->data, dial->prefix, dial->prefix_length);
  c->sides[CLIENT].waiting = buffers_keep(&e->buffers, 0, dial->prefix_length);
  return c->sides[CLIENT].waiting != NULL;
}

/* A backend that is connected already. */
static void adopt(engine *e, connection *c) {
  if (is_connected(c->sides[BACKEND].fd))
    connected(e, c);
  else
    fail(e, c, ENOTCONN, false);
}

/* A backend on this machine has, by now. Others never have: where there are only such, they are rarely asked. */
static bool has_answered(engine *e, int fd) {
  uint32_t unanswered = e->dials_unanswered++;
  if (unanswered > FAR_AFTER && unanswered % ASKED_ONE_IN != 0) return false;
  if (!is_connected(fd)) return false;
  e->dials_unanswered = 0;
  return true;
}

static void dial(engine *e, connection *c, const struct dial *how, bool client_speaks) {
  struct side *backend = &c->sides[BACKEND];
  const struct sockaddr *to = (const struct sockaddr *)&how->to;
  backend->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  c->shared_port = port_within(&how->to, e->ephemeral);
  if (backend->fd >= 0 && client_speaks) set_acknowledge_with_data(backend->fd);
  if (backend->fd < 0 || (connect(backend->fd, to, how->length) != 0 && errno != EINPROGRESS && errno != EINTR)) {
    fail(e, c, errno, true);
    return;
  }
  /* That saves a turn of the loop, and to watch for it. */
  if (has_answered(e, backend->fd)) {
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

void dial_start(engine *e, connection *c, const struct dial *how) {
  enum news news = c->state == STATE_WAITING ? look_at(c->sides[CLIENT].fd) : GONE;
  if (news == GONE) {
    if (how->fd >= 0) close(how->fd);
    /* No backend needs to hear of a client that is gone. */
    if (c->state == STATE_WAITING) connection_failed(e, c, CLIENT);
    return;
  }
  preread_take_back(c);
  c->dialled_at = e->now;
  c->contended = how->contended;
  c->shared_port = 0;
  c->sides[BACKEND] = (struct side){.fd = how->fd};
  int error = how->error;
  if (error == 0 && !keep_prefix(e, c, how)) error = ENOMEM;
  if (error != 0) {
    fail(e, c, error, true);
    return;
  }
  if (c->preread != NULL) c->preread->skip = how->skip;
  if (how->fd >= 0)
    adopt(e, c);
  else
    dial(e, c, how, preread_length(c) > how->skip || how->prefix_length > 0 || news == SPOKE_OR_ENDED);
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

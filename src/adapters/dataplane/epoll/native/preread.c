#include "preread.h"

#include <errno.h>
#include <sys/socket.h>

#include "ending.h"
#include "side.h"

static bool is_complete(const connection *c) {
  return c->preread->queue == NULL || c->sides[CLIENT].ended || preread_length(c) == c->preread->max_bytes;
}

static void tell(engine *e, connection *c) {
  struct preread *preread = c->preread;
  preread->awaited = false;
  if (preread->told) {
    preread->answered = true;
    tell_preread(&e->batch, c->number, is_complete(c));
  } else {
    prereads_note_told(&e->prereads, preread);
    tell_accepted(&e->batch, c->number, preread->listener, &preread->peer, true);
  }
}

void preread_queue_close(engine *e, struct preread_queue *queue) {
  for (struct preread *preread = queue->first; preread != NULL; preread = preread->next)
    if (!preread->told) tell(e, preread->client);
  queue->listener_is_open = false;
  prereads_close_if_unused(&e->prereads, queue);
}

/* Reads what there is, as far as there is room. false: the client is gone. */
static bool read_some(engine *e, connection *c) {
  struct side *client = &c->sides[CLIENT];
  struct preread *preread = c->preread;
  while (client->readable && !is_complete(c)) {
    uint32_t room = preread->max_bytes - preread_length(c);
    ssize_t n = recv(client->fd, e->buffers.scratch->data, room, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      client->readable = false;
    } else if (n == 0) {
      /* The relay will read it once more, and pass it on. */
      client->ended = true;
    } else {
      struct chunk *bytes = buffers_append(&e->buffers, preread->bytes, (uint32_t)n, preread->max_bytes);
      if (bytes == NULL) return false;
      preread->bytes = bytes;
      /* As in the relay: what comes after a short read is another edge, but for an end that has been told. */
      if ((uint32_t)n < room && !client->urgent && !client->hung_up) client->readable = false;
    }
  }
  return true;
}

/* Goes on to wait, or tells what there is. */
static void look(engine *e, connection *c) {
  uint32_t before = preread_length(c);
  bool alive = read_some(e, c);
  if (alive && (preread_length(c) > before || is_complete(c))) {
    tell(e, c);
    return;
  }
  bool watched = alive && (c->sides[CLIENT].watched != 0 || side_watch(e->epoll_fd, c, CLIENT, false));
  if (!watched) connection_failed(e, c, CLIENT);
}

void preread_await(engine *e, connection *c) {
  c->preread->awaited = true;
  /* Nothing has told of what is there before the socket is watched. A client that has spoken already, and says enough,
   * needs no watching until bytes flow. */
  if (c->sides[CLIENT].watched == 0) c->sides[CLIENT].readable = true;
  look(e, c);
}

void preread_ready(engine *e, connection *c, uint32_t events) {
  side_note(&c->sides[CLIENT], events);
  if (c->sides[CLIENT].failed)
    connection_failed(e, c, CLIENT);
  else if (c->preread != NULL && c->preread->awaited)
    look(e, c);
}

void preread_watch(engine *e, connection *c) {
  bool waits = c->state == STATE_WAITING && c->sides[CLIENT].watched == 0;
  if (waits && !side_watch(e->epoll_fd, c, CLIENT, false)) connection_failed(e, c, CLIENT);
}

void preread_ask(engine *e, connection *c) {
  if (c->preread == NULL || c->state != STATE_WAITING || c->preread->awaited || c->preread->answered) return;
  preread_await(e, c);
}

void prereads_expire(engine *e) {
  uint64_t due = 0;
  struct preread_queue *next;
  for (struct preread_queue *queue = e->prereads.queues; queue != NULL; queue = next) {
    /* The queue may go with its last preread. */
    next = queue->next;
    struct preread *preread;
    struct preread *following;
    for (preread = queue->first; preread != NULL && preread->deadline <= e->now && !engine_is_late(e); preread = following) {
      following = preread->next;
      prereads_dequeue(&e->prereads, preread);
      if (preread->awaited) tell(e, preread->client);
    }
    if (preread != NULL && (due == 0 || preread->deadline < due)) due = preread->deadline;
  }
  e->prereads.due = due;
}

#include "preread.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"
#include "loop.h"

static void close_if_unused(engine *e, struct preread_queue *queue) {
  if (queue->listener_is_open || queue->first != NULL) return;
  struct preread_queue **at = &e->prereads.queues;
  while (*at != queue) at = &(*at)->next;
  *at = queue->next;
  free(queue);
}

static void enqueue(engine *e, struct preread *preread, struct preread_queue *queue) {
  preread->queue = queue;
  preread->previous = queue->last;
  if (queue->last == NULL)
    queue->first = preread;
  else
    queue->last->next = preread;
  queue->last = preread;
  loop_want_preread_timer(e, preread->deadline);
}

static void dequeue(engine *e, struct preread *preread) {
  struct preread_queue *queue = preread->queue;
  if (queue == NULL) return;
  if (preread->previous == NULL)
    queue->first = preread->next;
  else
    preread->previous->next = preread->next;
  if (preread->next == NULL)
    queue->last = preread->previous;
  else
    preread->next->previous = preread->previous;
  preread->queue = NULL;
  close_if_unused(e, queue);
}

struct preread_queue *preread_queue_open(engine *e, int32_t listener, uint32_t max_bytes, uint64_t timeout) {
  struct preread_queue *queue = calloc(1, sizeof *queue);
  if (queue == NULL) return NULL;
  queue->timeout = timeout;
  queue->max_bytes = max_bytes;
  queue->listener = listener;
  queue->listener_is_open = true;
  queue->next = e->prereads.queues;
  e->prereads.queues = queue;
  return queue;
}

bool preread_is_told(const connection *c) {
  return c->preread == NULL || c->preread->told;
}

uint32_t preread_length(const connection *c) {
  return c->preread == NULL || c->preread->bytes == NULL ? 0 : c->preread->bytes->length;
}

static bool is_complete(const connection *c) {
  return c->preread->queue == NULL || c->sides[CLIENT].ended || preread_length(c) == c->preread->max_bytes;
}

static void tell(engine *e, connection *c) {
  struct preread *preread = c->preread;
  preread->awaited = false;
  if (preread->told) {
    preread->answered = true;
    tell_preread(e, c, is_complete(c));
  } else {
    preread->told = true;
    e->prereads.untold--;
    tell_accepted(e, c, preread->listener, &preread->peer, true);
  }
}

void preread_queue_close(engine *e, struct preread_queue *queue) {
  for (struct preread *preread = queue->first; preread != NULL; preread = preread->next)
    if (!preread->told) tell(e, preread->client);
  queue->listener_is_open = false;
  close_if_unused(e, queue);
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
  bool watched = alive && (c->sides[CLIENT].watched != 0 || side_watch(e, c, CLIENT, false));
  if (!watched) connection_failed(e, c, CLIENT);
}

bool preread_make(engine *e, connection *c, struct preread_queue *queue, const struct sockaddr_storage *peer) {
  struct preread *preread = calloc(1, sizeof *preread);
  if (preread == NULL) return false;
  preread->client = c;
  preread->listener = queue->listener;
  preread->max_bytes = queue->max_bytes;
  preread->deadline = c->accepted_at + queue->timeout;
  preread->peer = *peer;
  c->preread = preread;
  e->prereads.untold++;
  enqueue(e, preread, queue);
  return true;
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

void preread_ask(engine *e, connection *c) {
  if (c->preread == NULL || c->state != STATE_WAITING || c->preread->awaited || c->preread->answered) return;
  preread_await(e, c);
}

void preread_take_back(connection *c) {
  if (c->preread == NULL) return;
  c->preread->awaited = false;
  c->preread->answered = false;
}

bool preread_fetch(connection *c) {
  if (c->preread == NULL || !c->preread->answered) return false;
  c->preread->answered = false;
  return true;
}

void preread_hand_over(engine *e, connection *c) {
  struct chunk *bytes = c->preread->bytes;
  if (bytes != NULL && bytes->length > c->preread->skip) {
    bytes->offset += c->preread->skip;
    bytes->length -= c->preread->skip;
    c->sides[CLIENT].waiting = bytes;
    c->preread->bytes = NULL;
  }
  /* The relay reads the end again, behind these bytes. */
  c->sides[CLIENT].ended = false;
  preread_drop(e, c);
}

void preread_drop(engine *e, connection *c) {
  struct preread *preread = c->preread;
  if (preread == NULL) return;
  if (!preread->told) e->prereads.untold--;
  dequeue(e, preread);
  if (preread->bytes != NULL) buffers_release(&e->buffers, preread->bytes);
  free(preread);
  c->preread = NULL;
}

void prereads_expire(engine *e) {
  struct preread_queue *next;
  for (struct preread_queue *queue = e->prereads.queues; queue != NULL; queue = next) {
    /* The queue may go with its last preread. */
    next = queue->next;
    struct preread *preread;
    struct preread *following;
    for (preread = queue->first; preread != NULL && preread->deadline <= e->now && !loop_is_late(e); preread = following) {
      following = preread->next;
      dequeue(e, preread);
      if (preread->awaited) tell(e, preread->client);
    }
    if (preread != NULL) loop_want_preread_timer(e, preread->deadline);
  }
}

#include "head.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"
#include "loop.h"

static void close_if_unused(engine *e, struct head_queue *queue) {
  if (queue->listener_is_open || queue->first != NULL) return;
  struct head_queue **at = &e->heads.queues;
  while (*at != queue) at = &(*at)->next;
  *at = queue->next;
  free(queue);
}

static void enqueue(engine *e, struct head *head, struct head_queue *queue) {
  head->queue = queue;
  head->previous = queue->last;
  if (queue->last == NULL)
    queue->first = head;
  else
    queue->last->next = head;
  queue->last = head;
  loop_want_head_timer(e, head->deadline);
}

static void dequeue(engine *e, struct head *head) {
  struct head_queue *queue = head->queue;
  if (queue == NULL) return;
  if (head->previous == NULL)
    queue->first = head->next;
  else
    head->previous->next = head->next;
  if (head->next == NULL)
    queue->last = head->previous;
  else
    head->next->previous = head->previous;
  head->queue = NULL;
  close_if_unused(e, queue);
}

struct head_queue *head_queue_open(engine *e, int32_t listener, uint32_t max_bytes, uint64_t timeout) {
  struct head_queue *queue = calloc(1, sizeof *queue);
  if (queue == NULL) return NULL;
  queue->timeout = timeout;
  queue->max_bytes = max_bytes;
  queue->listener = listener;
  queue->listener_is_open = true;
  queue->next = e->heads.queues;
  e->heads.queues = queue;
  return queue;
}

bool head_is_told(const connection *c) {
  return c->head == NULL || c->head->told;
}

uint32_t head_length(const connection *c) {
  return c->head == NULL || c->head->bytes == NULL ? 0 : c->head->bytes->length;
}

static bool is_complete(const connection *c) {
  return c->head->queue == NULL || c->sides[CLIENT].ended || head_length(c) == c->head->max_bytes;
}

static void tell(engine *e, connection *c) {
  struct head *head = c->head;
  head->awaited = false;
  if (head->told) {
    head->answered = true;
    tell_head(e, c, is_complete(c));
  } else {
    head->told = true;
    e->heads.untold--;
    tell_accepted(e, c, head->listener, &head->peer, true);
  }
}

void head_queue_close(engine *e, struct head_queue *queue) {
  for (struct head *head = queue->first; head != NULL; head = head->next)
    if (!head->told) tell(e, head->client);
  queue->listener_is_open = false;
  close_if_unused(e, queue);
}

/* Reads what there is, as far as there is room. false: the client is gone. */
static bool read_some(engine *e, connection *c) {
  struct side *client = &c->sides[CLIENT];
  struct head *head = c->head;
  while (client->readable && !is_complete(c)) {
    uint32_t room = head->max_bytes - head_length(c);
    ssize_t n = recv(client->fd, e->buffers.scratch->data, room, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      client->readable = false;
    } else if (n == 0) {
      /* The relay will read it once more, and pass it on. */
      client->ended = true;
    } else {
      struct chunk *bytes = buffers_append(&e->buffers, head->bytes, (uint32_t)n, head->max_bytes);
      if (bytes == NULL) return false;
      head->bytes = bytes;
      /* As in the relay: what comes after a short read is another edge, but for an end that has been told. */
      if ((uint32_t)n < room && !client->urgent && !client->hung_up) client->readable = false;
    }
  }
  return true;
}

/* Goes on to wait, or tells what there is. */
static void look(engine *e, connection *c) {
  uint32_t before = head_length(c);
  bool alive = read_some(e, c);
  if (alive && (head_length(c) > before || is_complete(c))) {
    tell(e, c);
    return;
  }
  bool watched = alive && (c->sides[CLIENT].watched != 0 || side_watch(e, c, CLIENT, false));
  if (!watched) connection_failed(e, c, CLIENT);
}

bool head_make(engine *e, connection *c, struct head_queue *queue, const struct sockaddr_storage *peer) {
  struct head *head = calloc(1, sizeof *head);
  if (head == NULL) return false;
  head->client = c;
  head->listener = queue->listener;
  head->max_bytes = queue->max_bytes;
  head->deadline = c->accepted_at + queue->timeout;
  head->peer = *peer;
  c->head = head;
  e->heads.untold++;
  enqueue(e, head, queue);
  return true;
}

void head_await(engine *e, connection *c) {
  c->head->awaited = true;
  /* Nothing has told of what is there before the socket is watched. A client that has spoken already, and says enough,
   * needs no watching until bytes flow. */
  if (c->sides[CLIENT].watched == 0) c->sides[CLIENT].readable = true;
  look(e, c);
}

void head_ready(engine *e, connection *c, uint32_t events) {
  side_note(&c->sides[CLIENT], events);
  if (c->sides[CLIENT].failed)
    connection_failed(e, c, CLIENT);
  else if (c->head != NULL && c->head->awaited)
    look(e, c);
}

void head_ask(engine *e, connection *c) {
  if (c->head == NULL || c->state != STATE_WAITING || c->head->awaited || c->head->answered) return;
  head_await(e, c);
}

void head_take_back(connection *c) {
  if (c->head == NULL) return;
  c->head->awaited = false;
  c->head->answered = false;
}

bool head_fetch(connection *c) {
  if (c->head == NULL || !c->head->answered) return false;
  c->head->answered = false;
  return true;
}

void head_hand_over(engine *e, connection *c) {
  struct chunk *bytes = c->head->bytes;
  if (bytes != NULL && bytes->length > c->head->skip) {
    bytes->offset += c->head->skip;
    bytes->length -= c->head->skip;
    c->sides[CLIENT].waiting = bytes;
    c->head->bytes = NULL;
  }
  /* The relay reads the end again, behind these bytes. */
  c->sides[CLIENT].ended = false;
  head_drop(e, c);
}

void head_drop(engine *e, connection *c) {
  struct head *head = c->head;
  if (head == NULL) return;
  if (!head->told) e->heads.untold--;
  dequeue(e, head);
  if (head->bytes != NULL) buffers_release(&e->buffers, head->bytes);
  free(head);
  c->head = NULL;
}

void heads_expire(engine *e) {
  struct head_queue *next;
  for (struct head_queue *queue = e->heads.queues; queue != NULL; queue = next) {
    /* The queue may go with its last head. */
    next = queue->next;
    struct head *head;
    struct head *following;
    for (head = queue->first; head != NULL && head->deadline <= e->now && !loop_is_late(e); head = following) {
      following = head->next;
      dequeue(e, head);
      if (head->awaited) tell(e, head->client);
    }
    if (head != NULL) loop_want_head_timer(e, head->deadline);
  }
}

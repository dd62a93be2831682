#include "prereads.h"

#include <stdlib.h>
#include <string.h>

void prereads_close_if_unused(struct prereads *prereads, struct preread_queue *queue) {
  if (queue->listener_is_open || queue->first != NULL) return;
  struct preread_queue **at = &prereads->queues;
  while (*at != queue) at = &(*at)->next;
  *at = queue->next;
  free(queue);
}

static void enqueue(struct prereads *prereads, struct preread *preread, struct preread_queue *queue) {
  preread->queue = queue;
  preread->previous = queue->last;
  if (queue->last == NULL)
    queue->first = preread;
  else
    queue->last->next = preread;
  queue->last = preread;
  if (prereads->due == 0 || preread->deadline < prereads->due) prereads->due = preread->deadline;
}

void prereads_dequeue(struct prereads *prereads, struct preread *preread) {
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
  prereads_close_if_unused(prereads, queue);
}

struct preread_queue *prereads_open(struct prereads *prereads, int32_t listener, uint32_t max_bytes, uint64_t timeout) {
  struct preread_queue *queue = calloc(1, sizeof *queue);
  if (queue == NULL) return NULL;
  queue->timeout = timeout;
  queue->max_bytes = max_bytes;
  queue->listener = listener;
  queue->listener_is_open = true;
  queue->next = prereads->queues;
  prereads->queues = queue;
  return queue;
}

bool prereads_add(struct prereads *prereads, struct preread_queue *queue, connection *c,
                  const struct sockaddr_storage *peer) {
  struct preread *preread = calloc(1, sizeof *preread);
  if (preread == NULL) return false;
  preread->client = c;
  preread->listener = queue->listener;
  preread->max_bytes = queue->max_bytes;
  preread->deadline = c->accepted_at + queue->timeout;
  preread->peer = *peer;
  c->preread = preread;
  prereads->untold++;
  enqueue(prereads, preread, queue);
  return true;
}

void prereads_note_told(struct prereads *prereads, struct preread *preread) {
  preread->told = true;
  prereads->untold--;
}

bool prereads_hand_over(struct prereads *prereads, struct buffers *buffers, connection *c) {
  struct side *client = &c->sides[CLIENT];
  struct chunk *bytes = c->preread->bytes;
  uint32_t length = preread_length(c) - c->preread->skip;
  if (length > 0 && client->waiting == NULL) {
    bytes->offset += c->preread->skip;
    bytes->length = length;
    client->waiting = bytes;
    c->preread->bytes = NULL;
  } else if (length > 0) {
    memcpy(buffers->scratch->data, bytes->data + c->preread->skip, length);
    struct chunk *both = buffers_append(buffers, client->waiting, length, client->waiting->length + length);
    if (both == NULL) return false;
    client->waiting = both;
  }
  /* The relay reads the end again, behind these bytes. */
  client->ended = false;
  prereads_drop(prereads, buffers, c);
  return true;
}

void prereads_drop(struct prereads *prereads, struct buffers *buffers, connection *c) {
  struct preread *preread = c->preread;
  if (preread == NULL) return;
  if (!preread->told) prereads->untold--;
  prereads_dequeue(prereads, preread);
  if (preread->bytes != NULL) buffers_release(buffers, preread->bytes);
  free(preread);
  c->preread = NULL;
}

bool preread_is_told(const connection *c) {
  return c->preread == NULL || c->preread->told;
}

uint32_t preread_length(const connection *c) {
  return c->preread == NULL || c->preread->bytes == NULL ? 0 : c->preread->bytes->length;
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

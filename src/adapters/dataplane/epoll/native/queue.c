#include "queue.h"

#include <stddef.h>

connection *queue_first(const struct queue *queue, const struct table *table) {
  return queue->first == 0 ? NULL : table_find(table, queue->first);
}

void queue_add(struct queue *queue, const struct table *table, connection *c) {
  c->previous = queue->last;
  c->next = 0;
  if (queue->last == 0)
    queue->first = c->number;
  else
    table_find(table, queue->last)->next = c->number;
  queue->last = c->number;
}

void queue_remove(struct queue *queue, const struct table *table, connection *c) {
  if (c->previous == 0)
    queue->first = c->next;
  else
    table_find(table, c->previous)->next = c->next;
  if (c->next == 0)
    queue->last = c->previous;
  else
    table_find(table, c->next)->previous = c->previous;
  c->previous = c->next = 0;
}

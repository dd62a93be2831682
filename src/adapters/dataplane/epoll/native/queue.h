#ifndef EDGEPROXY_QUEUE_H
#define EDGEPROXY_QUEUE_H

#include <stdint.h>

#include "connection.h"
#include "table.h"

/* Connections in the order in which they came. One is in one queue at a time. */
struct queue {
  /* Numbers; 0: none */
  uint32_t first;
  uint32_t last;
};

/* NULL: it is empty. */
connection *queue_first(const struct queue *queue, const struct table *table);
/* Behind all others. */
void queue_add(struct queue *queue, const struct table *table, connection *c);
void queue_remove(struct queue *queue, const struct table *table, connection *c);

#endif

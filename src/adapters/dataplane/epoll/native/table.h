#ifndef EDGEPROXY_TABLE_H
#define EDGEPROXY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct connection;

/*
 * A number is a slot's index and, above it, how often the slot was used before: a number of a connection that is over
 * finds nothing for the next 1023 uses of its slot. Numbers are 1 to 2^30 - 1.
 */
#define INDEX_BITS 20
#define MAX_CONNECTIONS (1u << INDEX_BITS)
#define GENERATION_MASK 0x3ffu

#define CHUNK_SLOTS 256
#define MAX_CHUNKS (MAX_CONNECTIONS / CHUNK_SLOTS)

/* All connections of an engine, by number. Slots stay where they are, and memory grows by chunks of them. */
struct table {
  struct connection *chunks[MAX_CHUNKS];
  uint32_t chunk_count;
  /* Index + 1 of the first free slot; 0: none. The slot used last comes first, while it is in the cache. */
  uint32_t free_head;
  /* Connections that are held. */
  uint32_t size;
};

void table_free(struct table *table);
/* A zeroed connection with its number. NULL: out of memory, or MAX_CONNECTIONS are held. */
struct connection *table_take(struct table *table);
/* NULL: there is no connection of that number (any more). */
struct connection *table_find(const struct table *table, uint32_t number);
void table_give_back(struct table *table, struct connection *c);
/* Slots that exist, in use or not. */
uint32_t table_slots(const struct table *table);
/* The connection in a slot, which is below `table_slots`. NULL: the slot is free. */
struct connection *table_at(const struct table *table, uint32_t index);

#endif

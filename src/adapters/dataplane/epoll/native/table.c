#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"

static struct connection *slot(const struct table *table, uint32_t index) {
  return &table->chunks[index / CHUNK_SLOTS][index % CHUNK_SLOTS];
}

static uint32_t index_of(const struct connection *c) {
  return c->number & (MAX_CONNECTIONS - 1);
}

void table_free(struct table *table) {
  for (uint32_t i = 0; i < table->chunk_count; i++) free(table->chunks[i]);
  memset(table, 0, sizeof *table);
}

static void make_free(struct table *table, struct connection *c) {
  c->state = STATE_FREE;
  c->next = table->free_head;
  table->free_head = index_of(c) + 1;
}

static bool grow(struct table *table) {
  if (table->chunk_count == MAX_CHUNKS) return false;
  struct connection *chunk = calloc(CHUNK_SLOTS, sizeof *chunk);
  if (chunk == NULL) return false;
  uint32_t first = table->chunk_count * CHUNK_SLOTS;
  table->chunks[table->chunk_count++] = chunk;
  for (uint32_t i = CHUNK_SLOTS; i-- > 0;) {
    chunk[i].number = first + i;
    make_free(table, &chunk[i]);
  }
  return true;
}

struct connection *table_take(struct table *table) {
  if (table->free_head == 0 && !grow(table)) return NULL;
  struct connection *c = slot(table, table->free_head - 1);
  table->free_head = c->next;
  uint32_t number = c->number;
  memset(c, 0, sizeof *c);
  /* Index 0 in its first use would be number 0, which is none. */
  do number = (number & (MAX_CONNECTIONS - 1)) | ((((number >> INDEX_BITS) + 1) & GENERATION_MASK) << INDEX_BITS);
  while (number == 0);
  c->number = number;
  table->size++;
  return c;
}

struct connection *table_find(const struct table *table, uint32_t number) {
  uint32_t index = number & (MAX_CONNECTIONS - 1);
  if (index >= table_slots(table)) return NULL;
  struct connection *c = slot(table, index);
  return c->number == number && c->state != STATE_FREE ? c : NULL;
}

void table_give_back(struct table *table, struct connection *c) {
  make_free(table, c);
  table->size--;
}

uint32_t table_slots(const struct table *table) {
  return table->chunk_count * CHUNK_SLOTS;
}

struct connection *table_at(const struct table *table, uint32_t index) {
  struct connection *c = slot(table, index);
  return c->state == STATE_FREE ? NULL : c;
}

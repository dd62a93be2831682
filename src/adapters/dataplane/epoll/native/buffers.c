#include "buffers.h"

#include <stdlib.h>
#include <string.h>

/* Spare chunks that are kept: 2 MiB. */
#define MAX_SPARE 4

/* Up to so many bytes a copy of their own is made, which is cheaper than to hold a large chunk for them. */
#define COPIED_BYTES (SCRATCH_BYTES / 2)

/* Beyond so much an engine's slow readers get no more than a small read each. */
#define SCARCE_BYTES (64ull * 1024 * 1024)

static struct chunk *make_chunk(uint32_t capacity) {
  struct chunk *chunk = malloc(sizeof *chunk + capacity);
  if (chunk != NULL) {
    chunk->capacity = capacity;
    chunk->next = NULL;
  }
  return chunk;
}

bool buffers_init(struct buffers *buffers) {
  buffers->scratch = make_chunk(SCRATCH_BYTES);
  buffers->spare = NULL;
  buffers->spare_count = 0;
  buffers->kept = 0;
  return buffers->scratch != NULL;
}

void buffers_free(struct buffers *buffers) {
  free(buffers->scratch);
  while (buffers->spare != NULL) {
    struct chunk *chunk = buffers->spare;
    buffers->spare = chunk->next;
    free(chunk);
  }
}

static struct chunk *take_spare(struct buffers *buffers) {
  struct chunk *chunk = buffers->spare;
  if (chunk == NULL) return make_chunk(SCRATCH_BYTES);
  buffers->spare = chunk->next;
  buffers->spare_count--;
  return chunk;
}

bool buffers_are_scarce(const struct buffers *buffers) {
  return buffers->kept > SCARCE_BYTES;
}

struct chunk *buffers_keep(struct buffers *buffers, uint32_t offset, uint32_t length) {
  struct chunk *kept = NULL;
  if (length > COPIED_BYTES) {
    struct chunk *scratch = take_spare(buffers);
    if (scratch != NULL) {
      kept = buffers->scratch;
      kept->offset = offset;
      kept->length = length;
      buffers->scratch = scratch;
      buffers->kept += kept->capacity;
      return kept;
    }
  }
  kept = make_chunk(length);
  if (kept == NULL) return NULL;
  buffers->kept += kept->capacity;
  memcpy(kept->data, buffers->scratch->data + offset, length);
  kept->offset = 0;
  kept->length = length;
  return kept;
}

struct chunk *buffers_append(struct buffers *buffers, struct chunk *chunk, uint32_t length, uint32_t most) {
  uint32_t used = chunk == NULL ? 0 : chunk->length;
  if (chunk == NULL || used + length > chunk->capacity) {
    /* Twice what was there, so that bytes that come one by one are not copied every time. */
    uint32_t capacity = used > most / 2 ? most : used * 2;
    if (capacity < used + length) capacity = used + length;
    struct chunk *larger = make_chunk(capacity);
    if (larger == NULL) return NULL;
    buffers->kept += larger->capacity;
    larger->offset = 0;
    if (chunk != NULL) {
      memcpy(larger->data, chunk->data, used);
      buffers_release(buffers, chunk);
    }
    chunk = larger;
  }
  memcpy(chunk->data + used, buffers->scratch->data, length);
  chunk->length = used + length;
  return chunk;
}

void buffers_release(struct buffers *buffers, struct chunk *chunk) {
  buffers->kept -= chunk->capacity;
  if (chunk->capacity == SCRATCH_BYTES && buffers->spare_count < MAX_SPARE) {
    chunk->next = buffers->spare;
    buffers->spare = chunk;
    buffers->spare_count++;
  } else {
    free(chunk);
  }
}

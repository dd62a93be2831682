#include "buffers.h"

#include <stdlib.h>
#include <string.h>

/* Spare chunks that are kept: 2 MiB. */
#define MAX_SPARE 32

/* Up to so many bytes a copy of their own is made: cheaper than to hold a large chunk for them. */
#define COPIED_BYTES (SCRATCH_BYTES / 4)

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

struct chunk *buffers_keep(struct buffers *buffers, uint32_t offset, uint32_t length) {
  struct chunk *kept = NULL;
  if (length > COPIED_BYTES) {
    struct chunk *scratch = take_spare(buffers);
    if (scratch != NULL) {
      kept = buffers->scratch;
      kept->offset = offset;
      kept->length = length;
      buffers->scratch = scratch;
      return kept;
    }
  }
  kept = make_chunk(length);
  if (kept == NULL) return NULL;
  memcpy(kept->data, buffers->scratch->data + offset, length);
  kept->offset = 0;
  kept->length = length;
  return kept;
}

void buffers_release(struct buffers *buffers, struct chunk *chunk) {
  if (chunk->capacity == SCRATCH_BYTES && buffers->spare_count < MAX_SPARE) {
    chunk->next = buffers->spare;
    buffers->spare = chunk;
    buffers->spare_count++;
  } else {
    free(chunk);
  }
}

/* What the chunks that are kept take, by random use: is it what buffers.c counts? Says in one line when it is not. */
#include "buffers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 20000
#define HELD 300
#define MOST (1024 * 1024)

static struct buffers buffers;
static struct chunk *held[HELD];
static unsigned char first[HELD];

static uint64_t capacities(void) {
  uint64_t sum = 0;
  for (int i = 0; i < HELD; i++) if (held[i] != NULL) sum += held[i]->capacity;
  return sum;
}

static uint32_t some(uint32_t most) { return 1 + (uint32_t)rand() % most; }

/* The scratch buffer holds what was read: `length` times the same byte. */
static unsigned char receive(uint32_t offset, uint32_t length) {
  unsigned char byte = (unsigned char)rand();
  memset(buffers.scratch->data + offset, byte, length);
  return byte;
}

static int fail(int step, const char *what) {
  printf("step %d: %s\n", step, what);
  return 1;
}

int main(void) {
  int scarce = 0;
  int plenty = 0;
  srand(7);
  if (!buffers_init(&buffers)) return fail(0, "out of memory");
  for (int step = 1; step <= STEPS; step++) {
    int i = rand() % HELD;
    /* By and by beyond what makes them scarce, and back. */
    int growing = step / 2500 % 2 == 0;
    /* Sizes on both sides of what is copied, and the largest. */
    uint32_t length = rand() % 3 == 0 ? some(SCRATCH_BYTES) : some(8192);
    if (held[i] == NULL && rand() % (growing ? 2 : 16) == 0) {
      uint32_t offset = SCRATCH_BYTES - length;
      first[i] = receive(offset, length);
      held[i] = buffers_keep(&buffers, offset, length);
      if (held[i] == NULL || held[i]->length != length) return fail(step, "it was not kept");
    } else if ((held[i] == NULL && growing) || (held[i] != NULL && held[i]->offset == 0 && held[i]->length + length <= MOST && rand() % 2 == 0)) {
      uint32_t used = held[i] == NULL ? 0 : held[i]->length;
      unsigned char byte = receive(0, length);
      held[i] = buffers_append(&buffers, held[i], length, MOST);
      if (held[i] == NULL || held[i]->length != used + length) return fail(step, "it was not added");
      if (held[i]->capacity > MOST && held[i]->capacity > used + length) return fail(step, "it takes more than it may");
      if (used == 0) first[i] = byte;
      if ((unsigned char)held[i]->data[used + length - 1] != byte) return fail(step, "the last byte is another");
    } else if (held[i] != NULL && (!growing || rand() % 8 == 0)) {
      if ((unsigned char)held[i]->data[held[i]->offset] != first[i]) return fail(step, "the first byte is another");
      buffers_release(&buffers, held[i]);
      held[i] = NULL;
    }
    if (buffers.kept != capacities()) return fail(step, "what is kept is not what is counted");
    if (buffers_are_scarce(&buffers)) scarce++;
    else plenty++;
    if (buffers_are_scarce(&buffers) != (capacities() > 64ull * 1024 * 1024)) return fail(step, "scarce, or not");
  }
  for (int i = 0; i < HELD; i++) if (held[i] != NULL) buffers_release(&buffers, held[i]);
  if (buffers.kept != 0) return fail(STEPS, "something is left when nothing is held");
  if (scarce < 100 || plenty < 100) return fail(STEPS, "both were to be seen");
  buffers_free(&buffers);
  return 0;
}

#ifndef EDGEPROXY_BUFFERS_H
#define EDGEPROXY_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that one read takes at most. A long bulky flow costs a copy in and a copy out, and the less the larger they are
 * (twice HAProxy's bytes per CPU-second at 512 KiB, 1.4 times at 64). */
#define SCRATCH_BYTES (512 * 1024)

/* Bytes that wait for a slow peer, or for a backend: `data[offset .. offset + length)`. */
struct chunk {
  uint32_t capacity;
  uint32_t offset;
  uint32_t length;
  struct chunk *next;
  char data[];
};

/*
 * All sockets read into one scratch buffer, and what was read goes out before the next read. Only what the other side's
 * kernel does not take is kept, so a direction owns memory only while its reader is slow: one chunk.
 */
struct buffers {
  struct chunk *scratch;
  /* Bytes of memory that chunks which wait take. */
  uint64_t kept;
  /* Chunks of SCRATCH_BYTES for the next one that waits. */
  struct chunk *spare;
  uint32_t spare_count;
};

/* false: out of memory. */
bool buffers_init(struct buffers *buffers);
void buffers_free(struct buffers *buffers);

/* Slow readers hold so much that reads should be small. */
bool buffers_are_scarce(const struct buffers *buffers);

/* Keeps `length` bytes at `offset` of the scratch buffer, which is another one then perhaps. NULL: out of memory. */
struct chunk *buffers_keep(struct buffers *buffers, uint32_t offset, uint32_t length);
/* Adds the first `length` bytes of the scratch buffer to a chunk, or to none, that is to hold `most` at most; returns
 * what it is from now on. NULL: out of memory, and the chunk is as it was. */
struct chunk *buffers_append(struct buffers *buffers, struct chunk *chunk, uint32_t length, uint32_t most);
void buffers_release(struct buffers *buffers, struct chunk *chunk);

#endif

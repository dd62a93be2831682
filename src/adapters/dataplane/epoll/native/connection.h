#ifndef EDGEPROXY_CONNECTION_H
#define EDGEPROXY_CONNECTION_H

#include <stdbool.h>
#include <netinet/in.h>
#include <stdint.h>

#include "batch.h"

struct chunk;
struct preread;

enum state {
  STATE_FREE = 0,
  /* accepted, or its last dial failed */
  STATE_WAITING,
  STATE_DIALLING,
  /* bytes flow */
  STATE_OPEN,
};

enum { CLIENT = 0, BACKEND = 1 };

/* One socket, and the direction that comes in by it. */
struct side {
  /* -1: none */
  int fd;
  /* What epoll watches it for; 0: it does not. */
  uint32_t watched;
  /* Bytes that were read here and handed to the other side's socket. */
  uint64_t bytes;
  /* Bytes that the next read takes at most. */
  uint32_t read_size;
  /* Bytes that were read here and wait for the other side; nothing is read meanwhile. */
  struct chunk *waiting;
  /* There may be something to read: an edge was seen and has not been read to its end. */
  bool readable;
  /* The peer's end, or a failure, is in the kernel's queue, behind what is still to be read. */
  bool hung_up;
  /* The peer reset, or vanished: nothing is sent to it any more. */
  bool failed;
  /* The peer's end is in the kernel's queue, or was read: a failure that came later has not taken it back. */
  bool finished;
  /* A read may stop short at urgent data, so a short read does not mean that there is no more. */
  bool urgent;
  /* The peer's end was read. */
  bool ended;
  /* The last read brought much. */
  bool is_bulk;
  /* There is more to move, when it is the connection's turn. */
  bool is_due;
  bool no_delay;
  /* Something was sent to it. */
  bool written;
  /* Not all that was sent to it is known to be acknowledged. */
  bool unsettled;
  /* Bytes that its peer had acknowledged, as far as the kernel was asked. */
  uint64_t acked;
  /* Since when its peer has been owing an answer, in ns; 0: it does not. */
  uint64_t unanswered_at;
};

/* One client and its backend, from `accepted` to `closed`. */
typedef struct connection {
  uint32_t number;
  uint8_t state;
  /* The kernel asks silent peers whether they are there. */
  bool keepalive;
  /* Others may be waiting for the backend's slot: its end is told before the client learns of it. */
  bool contended;
  /* It is in the queue of those that have more to move; the side whose turn it is then, if both have. */
  bool is_queued;
  uint8_t next_turn;
  /* One side failed, and the other had acknowledged all that it finished, when this was looked at last. */
  bool delivered;
  /* The port that is dialled, if the kernel may give it to the socket that dials; in network byte order. 0: it does not. */
  in_port_t shared_port;
  /* Bytes of ours, among those that wait for the backend, which are not the client's. */
  uint32_t prefix_left;
  /* Neighbours in the queue that it is in, as numbers; of a free slot, `next` is the free list's. */
  uint32_t previous;
  uint32_t next;
  /* ns */
  uint64_t accepted_at;
  uint64_t dialled_at;
  /* When bytes moved last, or an end came. */
  uint64_t active_at;
  /* Until bytes flow; NULL as well: the listener has no preread. */
  struct preread *preread;
  struct side sides[2];
} connection;

static inline enum close_reason reason_of_failure(int side) {
  return side == CLIENT ? REASON_CLIENT_RESET : REASON_BACKEND_RESET;
}

#endif

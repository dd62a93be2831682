#ifndef EDGEPROXY_CONNECTION_H
#define EDGEPROXY_CONNECTION_H

#include <stdbool.h>
#include <netinet/in.h>
#include <stdint.h>

#include "batch.h"

struct engine;
struct chunk;
struct preread;
struct preread_queue;

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
  /* One side failed, and the other had acknowledged all that it finished, when this was looked at last. */
  bool delivered;
  /* The port that is dialled, if the kernel may give it to the socket that dials; in network byte order. 0: it does not. */
  in_port_t shared_port;
  /* Neighbours among the dials, as numbers; of a free slot, `next` is the free list's. */
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

/* A client that was accepted becomes a connection. `prereads`: it is told of when its first bytes are there; NULL: now.
 * false: out of memory, or all numbers are used. */
bool connection_open(struct engine *e, int fd, int32_t listener, struct preread_queue *prereads,
                     const struct sockaddr_storage *peer);

/* Closes both sides of an open connection: an end to a peer that got all there was, and what the kernel has is still
 * sent; a reset to one for which bytes are left, or that has the end and did not end itself. */
void connection_finish(struct engine *e, connection *c, enum close_reason reason);
/* Resets both sides. */
void connection_reset(struct engine *e, connection *c, enum close_reason reason);
/* Resets both sides, because that one failed. */
void connection_failed(struct engine *e, connection *c, int side);
/* Finishes a connection whose time is over; one of which a side has failed is reset. */
void connection_expire(struct engine *e, connection *c, enum close_reason reason);
/* Turns a client away that is neither dialling nor open. */
void connection_reject(struct engine *e, connection *c, bool reset);

/* Watches a side for what can be read, from now on, and when a write was not taken for that too. Looks again at one
 * that is watched already. false: the kernel refused. */
bool side_watch(struct engine *e, connection *c, int side, bool also_writable);
/* Keeps what an edge told, until it is read. */
void side_note(struct side *side, uint32_t events);
/* The peer failed, of which `error` tells; by 0 the kernel is asked. */
void side_failed(struct side *side, int error);

#endif

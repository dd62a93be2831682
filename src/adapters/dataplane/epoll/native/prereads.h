#ifndef EDGEPROXY_PREREADS_H
#define EDGEPROXY_PREREADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "buffers.h"
#include "connection.h"

struct preread;

/*
 * Heads of one listener in the order of their accepts. All have the same time, so the first is the first to run out of
 * it. Outlives its listener while it is not empty.
 */
struct preread_queue {
  /* ns */
  uint64_t timeout;
  uint32_t max_bytes;
  int32_t listener;
  bool listener_is_open;
  struct preread *first;
  struct preread *last;
  struct preread_queue *next;
};

/* The first bytes of a client, from its accept until its connection is open. */
struct preread {
  struct connection *client;
  /* NULL: its time is over. */
  struct preread_queue *queue;
  struct preread *previous;
  struct preread *next;
  /* ns */
  uint64_t deadline;
  uint32_t max_bytes;
  int32_t listener;
  struct sockaddr_storage peer;
  /* NULL: none came yet. */
  struct chunk *bytes;
  /* Of `bytes`, those that the backend does not get. */
  uint32_t skip;
  /* `accepted` was told. */
  bool told;
  /* The client is being read, for `accepted` or for an answer. */
  bool awaited;
  /* An answer is in the batch and has not been fetched. */
  bool answered;
};

/* All of an engine. */
struct prereads {
  struct preread_queue *queues;
  /* Clients that `accepted` was not told of. */
  uint32_t untold;
  /* When the time of the first one is over, in ns, or before; 0: there is none. For the loop, which acts on it. */
  uint64_t due;
};

/* A queue for a listener. NULL: out of memory. */
struct preread_queue *prereads_open(struct prereads *prereads, int32_t listener, uint32_t max_bytes, uint64_t timeout);
/* Frees a queue whose listener is closed, when it is empty. */
void prereads_close_if_unused(struct prereads *prereads, struct preread_queue *queue);
/* Makes the preread of a client that was accepted. false: out of memory. */
bool prereads_add(struct prereads *prereads, struct preread_queue *queue, connection *c,
                  const struct sockaddr_storage *peer);
/* Its time is over. The queue may be gone afterwards. */
void prereads_dequeue(struct prereads *prereads, struct preread *preread);
/* The receiver of events learns of the client. */
void prereads_note_told(struct prereads *prereads, struct preread *preread);
/* What the backend is to get waits for it from now on, behind what does already. false: out of memory. */
bool prereads_hand_over(struct prereads *prereads, struct buffers *buffers, connection *c);
/* The connection has no preread any more. */
void prereads_drop(struct prereads *prereads, struct buffers *buffers, connection *c);

/* The receiver of events knows of the connection. */
bool preread_is_told(const connection *c);
/* How many bytes there are. */
uint32_t preread_length(const connection *c);
/* Nobody wants the answer any more. */
void preread_take_back(connection *c);
/* An answer is being delivered. false: it was taken back. */
bool preread_fetch(connection *c);

#endif

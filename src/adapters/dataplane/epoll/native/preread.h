#ifndef EDGEPROXY_PREREAD_H
#define EDGEPROXY_PREREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

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
  /* When the timer runs, in ns. */
  uint64_t due;
};

/* A queue for a listener. NULL: out of memory. */
struct preread_queue *preread_queue_open(struct engine *e, int32_t listener, uint32_t max_bytes, uint64_t timeout);
/* The listener is closed: tells of all its clients. The queue may be gone afterwards. */
void preread_queue_close(struct engine *e, struct preread_queue *queue);

/* Waits for the first bytes of a client that was accepted. It may be over when `preread_await` returns. */
bool preread_make(struct engine *e, connection *c, struct preread_queue *queue, const struct sockaddr_storage *peer);
void preread_await(struct engine *e, connection *c);
/* The client's socket has something to tell, by its epoll `events`, before it is open. It may be over afterwards. */
void preread_ready(struct engine *e, connection *c, uint32_t events);
/* More is wanted. The connection may be over when this returns. */
void preread_ask(struct engine *e, connection *c);
/* Nobody wants the answer any more. */
void preread_take_back(connection *c);
/* An answer is being delivered. false: it was taken back. */
bool preread_fetch(connection *c);
/* How many bytes there are. */
uint32_t preread_length(const connection *c);
/* What the backend is to get waits for it from now on. */
void preread_hand_over(struct engine *e, connection *c);
/* The connection ends. */
void preread_drop(struct engine *e, connection *c);
/* Tells of those whose time is over. */
void prereads_expire(struct engine *e);

/* The receiver of events knows of the connection. */
bool preread_is_told(const connection *c);

#endif

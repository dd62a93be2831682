#ifndef EDGEPROXY_BATCH_H
#define EDGEPROXY_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The numbers are those of event-records.ts. */
enum record_type {
  RECORD_ACCEPTED = 1,
  RECORD_CONNECTED = 2,
  RECORD_CONNECT_FAILED = 3,
  RECORD_CLOSED = 4,
  RECORD_REFUSED = 5,
  /* The bytes are fetched by the method `preread`. */
  RECORD_ACCEPTED_WITH_PREREAD = 6,
  RECORD_PREREAD = 7,
  /* Behind all that led to it; see `loop_settle` of loop.h. */
  RECORD_SETTLED = 8,
};

enum close_reason {
  REASON_FINISHED = 0,
  REASON_CLIENT_RESET = 1,
  REASON_BACKEND_RESET = 2,
  REASON_IDLE_TIMEOUT = 3,
  REASON_HALF_CLOSE_TIMEOUT = 4,
  REASON_DRAINED = 5,
  REASON_REJECTED = 6,
};

#define RECORD_VALUE 48

/* Events of one call into JavaScript, and of one turn: it takes some us for each. No client is accepted while so many are
 * still to be told: the kernel has a queue for those, and other processes may take them. */
#define RECORDS_A_TURN 256

/* One event, as JavaScript reads it from an ArrayBuffer. */
struct record {
  int32_t type;
  int32_t conn;
  /* accepted, refused: the listener; connectFailed: the errno; closed: the reason; preread: 1 when it is complete */
  int32_t code;
  /* connectFailed: 1 when the kernel refused to dial; accepted, refused: bytes of the address */
  int32_t address_length;
  union {
    uint8_t address[16];
    /* connected: ms of the dial; closed: ms, bytes to the backend, bytes to the client */
    double numbers[RECORD_VALUE / sizeof(double)];
  } u;
};
_Static_assert(sizeof(struct record) == 64, "event-records.ts reads records of 64 bytes");

/* A client's descriptor that is closed when the end of its connection has been told. */
struct parting {
  int fd;
  bool reset;
  /* How many records are told before it, and with it. */
  uint64_t record;
};

/* When a batch is to be delivered. */
enum urgency { NOT_AT_ALL = 0, WITHIN_SOME_MS, THIS_TURN };

/* What happened and was not delivered yet: `records[first .. first + count)`. */
struct batch {
  /* For the loop, which acts on it. */
  enum urgency urgency;
  struct record *records;
  uint32_t first;
  uint32_t count;
  uint32_t capacity;
  /* Records that were delivered, ever. */
  uint64_t told;
  /* In the order of their records. */
  struct parting *partings;
  uint32_t parting_count;
  uint32_t parting_capacity;
};

void batch_free(struct batch *batch);
/* The first `count` events are delivered: forgets them, and memory that only an unusual batch needed. */
void batch_forget(struct batch *batch, uint32_t count);
/* Closes `fd` only when the next record has been delivered. false: out of memory. */
bool batch_part_later(struct batch *batch, int fd, bool reset);
/* Closes those whose record was among the first `told` ever. */
void batch_part(struct batch *batch, uint64_t told);

/* `conn`: the connection's number. */
void tell_accepted(struct batch *batch, uint32_t conn, int32_t listener, const struct sockaddr_storage *peer,
                   bool with_preread);
void tell_preread(struct batch *batch, uint32_t conn, bool complete);
void tell_refused(struct batch *batch, int32_t listener, const struct sockaddr_storage *peer);
/* In ns, from dial to accept. */
void tell_connected(struct batch *batch, uint32_t conn, uint64_t took);
void tell_connect_failed(struct batch *batch, uint32_t conn, int error, bool here);
void tell_settled(struct batch *batch);

struct ending {
  enum close_reason reason;
  /* ns, from accept to close */
  uint64_t lasted;
  uint64_t bytes_to_backend;
  uint64_t bytes_to_client;
  /* Somebody waits for it. */
  bool contended;
};
void tell_closed(struct batch *batch, uint32_t conn, const struct ending *ending);

#endif

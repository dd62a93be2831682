#include "batch.h"

#include <netinet/in.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sockets.h"

/* Records kept between batches: 64 KiB. */
#define KEPT_CAPACITY 1024

#define FIRST_PARTINGS 16

static const double NS_PER_MS = 1e6;

void batch_free(struct batch *batch) {
  free(batch->records);
  free(batch->partings);
  memset(batch, 0, sizeof *batch);
}

void batch_forget(struct batch *batch, uint32_t count) {
  batch->told += count;
  batch->first += count;
  batch->count -= count;
  batch->urgency = batch->count > 0 ? THIS_TURN : NOT_AT_ALL;
  if (batch->count > 0) return;
  batch->first = 0;
  if (batch->capacity <= KEPT_CAPACITY) return;
  free(batch->records);
  batch->records = NULL;
  batch->capacity = 0;
}

bool batch_part_later(struct batch *batch, int fd, bool reset) {
  if (batch->parting_count == batch->parting_capacity) {
    uint32_t capacity = batch->parting_capacity == 0 ? FIRST_PARTINGS : batch->parting_capacity * 2;
    struct parting *partings = realloc(batch->partings, capacity * sizeof *partings);
    if (partings == NULL) return false;
    batch->partings = partings;
    batch->parting_capacity = capacity;
  }
  batch->partings[batch->parting_count++] = (struct parting){
      .fd = fd,
      .reset = reset,
      .record = batch->told + batch->count + 1,
  };
  return true;
}

void batch_part(struct batch *batch, uint64_t told) {
  uint32_t count = 0;
  for (; count < batch->parting_count && batch->partings[count].record <= told; count++) {
    if (batch->partings[count].reset)
      close_with_reset(batch->partings[count].fd);
    else
      close(batch->partings[count].fd);
  }
  batch->parting_count -= count;
  if (count > 0) memmove(batch->partings, batch->partings + count, batch->parting_count * sizeof *batch->partings);
}

static void make_room(struct batch *batch) {
  if (batch->first + batch->count < batch->capacity) return;
  if (batch->first > batch->count) {
    memmove(batch->records, batch->records + batch->first, batch->count * sizeof *batch->records);
    batch->first = 0;
    return;
  }
  uint32_t capacity = batch->capacity == 0 ? KEPT_CAPACITY : batch->capacity * 2;
  struct record *records = realloc(batch->records, capacity * sizeof *records);
  /* An event that is lost is a slot that is never given back. */
  if (records == NULL)
    napi_fatal_error("edgeproxy", NAPI_AUTO_LENGTH, "out of memory for events of connections", NAPI_AUTO_LENGTH);
  batch->records = records;
  batch->capacity = capacity;
}

/* The next record, zeroed. A connection adds five at most until they are delivered, so connections bound the batch. */
static struct record *push(struct batch *batch, enum record_type type, bool can_wait) {
  make_room(batch);
  if (!can_wait || batch->count >= RECORDS_A_TURN)
    batch->urgency = THIS_TURN;
  else if (batch->urgency == NOT_AT_ALL)
    batch->urgency = WITHIN_SOME_MS;
  struct record *record = &batch->records[batch->first + batch->count++];
  memset(record, 0, sizeof *record);
  record->type = type;
  return record;
}

/* IPv4 as 4 bytes, also where IPv6 carries it, IPv6 as 16; in network order. */
static void write_address(struct record *record, const struct sockaddr_storage *peer) {
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
  const void *bytes = v6;
  record->address_length = 16;
  if (peer->ss_family == AF_INET || IN6_IS_ADDR_V4MAPPED(v6)) {
    bytes = peer->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr : &v6->s6_addr[12];
    record->address_length = 4;
  }
  memcpy(record->u.address, bytes, (size_t)record->address_length);
}

void tell_accepted(struct batch *batch, uint32_t conn, int32_t listener, const struct sockaddr_storage *peer,
                   bool with_preread) {
  struct record *record = push(batch, with_preread ? RECORD_ACCEPTED_WITH_PREREAD : RECORD_ACCEPTED, false);
  record->conn = (int32_t)conn;
  record->code = listener;
  write_address(record, peer);
}

void tell_preread(struct batch *batch, uint32_t conn, bool complete) {
  struct record *record = push(batch, RECORD_PREREAD, false);
  record->conn = (int32_t)conn;
  record->code = complete;
}

void tell_refused(struct batch *batch, int32_t listener, const struct sockaddr_storage *peer) {
  struct record *record = push(batch, RECORD_REFUSED, true);
  record->code = listener;
  write_address(record, peer);
}

void tell_connected(struct batch *batch, uint32_t conn, uint64_t took) {
  struct record *record = push(batch, RECORD_CONNECTED, true);
  record->conn = (int32_t)conn;
  record->u.numbers[0] = (double)took / NS_PER_MS;
}

void tell_connect_failed(struct batch *batch, uint32_t conn, int error, bool here) {
  struct record *record = push(batch, RECORD_CONNECT_FAILED, false);
  record->conn = (int32_t)conn;
  record->code = error;
  record->address_length = here;
}

void tell_closed(struct batch *batch, uint32_t conn, const struct ending *ending) {
  struct record *record = push(batch, RECORD_CLOSED, !ending->contended);
  record->conn = (int32_t)conn;
  record->code = ending->reason;
  record->u.numbers[0] = (double)ending->lasted / NS_PER_MS;
  record->u.numbers[1] = (double)ending->bytes_to_backend;
  record->u.numbers[2] = (double)ending->bytes_to_client;
}

void tell_settled(struct batch *batch) {
  push(batch, RECORD_SETTLED, false);
}

#include "ending.h"

#include <unistd.h>

#include "prereads.h"
#include "queue.h"
#include "sockets.h"

/* The backend's descriptor is closed before: its slot is free only then. The client may come again as soon as it is told
 * of the end, so whoever gives the slot out is told first where that matters. */
static void part(engine *e, connection *c, bool reset) {
  int fd = c->sides[CLIENT].fd;
  if (c->contended && batch_part_later(&e->batch, fd, reset)) return;
  if (reset)
    close_with_reset(fd);
  else
    close(fd);
}

/* All descriptors are closed when this is told, or the client's is about to be. */
static void over(engine *e, connection *c, enum close_reason reason) {
  if (c->state == STATE_DIALLING) queue_remove(&e->dials, &e->table, c);
  if (c->is_queued) queue_remove(&e->bulk, &e->table, c);
  for (int i = 0; i < 2; i++) {
    struct side *side = &c->sides[i];
    if (side->waiting != NULL) buffers_release(&e->buffers, side->waiting);
  }
  /* A client whose preread never came had no number. */
  struct ending ending = {
      .reason = reason,
      .lasted = e->now - c->accepted_at,
      .bytes_to_backend = c->sides[CLIENT].bytes,
      .bytes_to_client = c->sides[BACKEND].bytes,
      .contended = c->contended,
  };
  if (preread_is_told(c)) tell_closed(&e->batch, c->number, &ending);
  prereads_drop(&e->prereads, &e->buffers, c);
  table_give_back(&e->table, c);
}

/* Whether a close alone would leave a side with less than it should know. */
static bool needs_reset(const connection *c, int side) {
  /* A peer for which bytes are left must not take what it has for the whole. */
  if (c->sides[!side].waiting != NULL) return true;
  /* One that has our end and everything before it, and goes on, is told nothing by a close: a backend would hold for good
   * what we count no more. */
  return c->sides[!side].ended && !c->sides[side].ended && is_acknowledged(c->sides[side].fd);
}

void connection_finish(engine *e, connection *c, enum close_reason reason) {
  bool reset_client = needs_reset(c, CLIENT);
  if (needs_reset(c, BACKEND))
    close_with_reset(c->sides[BACKEND].fd);
  else
    close(c->sides[BACKEND].fd);
  part(e, c, reset_client);
  over(e, c, reason);
}

void connection_reset(engine *e, connection *c, enum close_reason reason) {
  if (c->sides[BACKEND].fd >= 0) close_with_reset(c->sides[BACKEND].fd);
  part(e, c, true);
  over(e, c, reason);
}

void connection_failed(engine *e, connection *c, int side) {
  connection_reset(e, c, reason_of_failure(side));
}

void connection_expire(engine *e, connection *c, enum close_reason reason) {
  if (c->sides[CLIENT].failed)
    connection_failed(e, c, CLIENT);
  else if (c->sides[BACKEND].failed)
    connection_failed(e, c, BACKEND);
  else
    connection_finish(e, c, reason);
}

void connection_reject(engine *e, connection *c, bool reset) {
  if (c->state != STATE_WAITING) return;
  if (reset)
    close_with_reset(c->sides[CLIENT].fd);
  else
    close_with_end(c->sides[CLIENT].fd, &e->buffers);
  over(e, c, REASON_REJECTED);
}

#include "timers.h"

#include "ending.h"
#include "relay.h"
#include "sockets.h"
#include "wire.h"

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

/* ns; what lives so long gets keepalive, so short connections do without its system calls and timers. The first probe is
 * after a minute. */
#define KEEPALIVE_AFTER NS_PER_S

/* Connections that are looked at between two looks at the clock. */
#define CONNECTIONS_PER_LOOK 16

/* Whoever was sent to is looked at after so much of the shortest timer; in seconds at least, and at most. */
#define LOOKS_PER_TIMEOUT 6
#define MAX_LOOK_PERIOD 10

static uint64_t shorter(uint64_t a, uint64_t b) {
  return b > 0 && b < a ? b : a;
}

/* In scans. */
static uint32_t look_period(const engine *e) {
  uint64_t shortest = LOOKS_PER_TIMEOUT * MAX_LOOK_PERIOD * NS_PER_S;
  shortest = shorter(shortest, e->unacked_timeout);
  shortest = shorter(shortest, e->idle_timeout);
  shortest = shorter(shortest, e->half_close_timeout);
  uint32_t period = (uint32_t)(shortest / LOOKS_PER_TIMEOUT / NS_PER_S);
  return period == 0 ? 1 : period;
}

static bool is_over(const engine *e, const connection *c, enum close_reason *reason) {
  uint64_t silent = e->now - c->active_at;
  bool half_closed = false;
  for (int i = 0; i < 2; i++) half_closed = half_closed || c->sides[i].ended || c->sides[i].failed;
  if (e->half_close_timeout > 0 && half_closed && silent >= e->half_close_timeout)
    *reason = REASON_HALF_CLOSE_TIMEOUT;
  else if (e->idle_timeout > 0 && silent >= e->idle_timeout)
    *reason = REASON_IDLE_TIMEOUT;
  else
    return false;
  return true;
}

/* What the peer of a side did with what was sent to it. false: it is gone. */
static bool look(engine *e, connection *c, struct side *side) {
  struct wire wire;
  if (!side->unsettled || side->failed || !wire_look(side->fd, &wire)) return true;
  uint64_t silent = wire.silent_ms * NS_PER_MS;
  bool progress = wire.acked != side->acked;
  side->acked = wire.acked;
  side->unsettled = !wire.settled;
  /* Bytes moved at that moment at the latest. */
  if (progress && e->now - silent > c->active_at) c->active_at = e->now - silent;
  if (progress || !wire.unanswered) {
    side->unanswered_at = 0;
    return true;
  }
  if (side->unanswered_at == 0) side->unanswered_at = e->now;
  uint64_t timeout = e->unacked_timeout;
  return timeout == 0 || silent < timeout || e->now - side->unanswered_at < timeout;
}

/* A turn begins with its timers: when this thread was held up, what came in time may be still to be read. */
static bool has_spoken(const connection *c) {
  for (int i = 0; i < 2; i++) {
    const struct side *side = &c->sides[i];
    bool is_read = side->waiting == NULL && !side->ended && !side->failed;
    if (is_read && look_at(side->fd) != NOTHING_NEW) return true;
  }
  return false;
}

static void check(engine *e, connection *c, bool look_is_due) {
  if (c->sides[CLIENT].failed || c->sides[BACKEND].failed) relay_check(e, c);
  if (c->state != STATE_OPEN) return;
  enum close_reason reason;
  bool over = is_over(e, c, &reason);
  if (over || look_is_due) {
    for (int i = 0; i < 2; i++) {
      if (look(e, c, &c->sides[i])) continue;
      relay_vanished(e, c, i);
      return;
    }
    /* Bytes that were handed to the kernel long ago may be moving still. */
    over = over && is_over(e, c, &reason) && !has_spoken(c);
  }
  if (over) {
    connection_expire(e, c, reason);
  } else if (!c->keepalive && e->now - c->accepted_at >= KEEPALIVE_AFTER) {
    set_keepalive(c->sides[CLIENT].fd);
    set_keepalive(c->sides[BACKEND].fd);
    c->keepalive = true;
  }
}

bool scan(engine *e) {
  struct scan *scan = &e->scan;
  uint32_t slots = table_slots(&e->table);
  uint32_t period = look_period(e);
  while (scan->from < slots) {
    uint32_t index = scan->from++;
    connection *c = table_at(&e->table, index);
    /* Each scan looks at another share. */
    if (c != NULL && c->state == STATE_OPEN) check(e, c, (index + scan->pass) % period == 0);
    if (scan->from % CONNECTIONS_PER_LOOK == 0 && engine_is_late(e)) return false;
  }
  scan->from = 0;
  scan->pass++;
  return true;
}

#include "timers.h"

#include "engine.h"
#include "relay.h"
#include "sockets.h"

/* Connections that get keepalive in one scan: eight system calls each. */
#define KEEPALIVES_PER_SCAN 1000

/* ns; what lives so long gets it, so short connections do without its system calls and timers. */
#define KEEPALIVE_AFTER 1000000000ull

/* Closes a connection whose time is over. */
static void check(engine *e, connection *c) {
  uint64_t silent = e->now - c->active_at;
  bool failed = c->sides[CLIENT].failed || c->sides[BACKEND].failed;
  bool half_closed = failed || c->sides[CLIENT].ended || c->sides[BACKEND].ended;
  if (failed) relay_check(e, c);
  if (c->state != STATE_OPEN) return;
  if (e->half_close_timeout > 0 && half_closed && silent >= e->half_close_timeout)
    connection_expire(e, c, REASON_HALF_CLOSE_TIMEOUT);
  else if (e->idle_timeout > 0 && silent >= e->idle_timeout)
    connection_expire(e, c, REASON_IDLE_TIMEOUT);
}

static void check_all(engine *e) {
  uint32_t slots = table_slots(&e->table);
  for (uint32_t i = 0; i < slots; i++) {
    connection *c = table_at(&e->table, i);
    if (c != NULL && c->state == STATE_OPEN) check(e, c);
  }
}

/* The first probe is after a minute, so nothing needs it in a connection's first second. Goes on where the last scan's
 * share ended. */
static void keep_alive(engine *e) {
  uint32_t slots = table_slots(&e->table);
  int share = KEEPALIVES_PER_SCAN;
  for (uint32_t seen = 0; seen < slots && share > 0; seen++) {
    if (e->keepalive_from >= slots) e->keepalive_from = 0;
    connection *c = table_at(&e->table, e->keepalive_from++);
    if (c == NULL || c->state != STATE_OPEN || c->keepalive) continue;
    if (e->now - c->accepted_at < KEEPALIVE_AFTER) continue;
    set_keepalive(c->sides[CLIENT].fd);
    set_keepalive(c->sides[BACKEND].fd);
    c->keepalive = true;
    share--;
  }
}

void scan(engine *e) {
  check_all(e);
  keep_alive(e);
  if (e->listeners.paused > 0) listeners_resume(e);
}

#include "timers.h"

#include "engine.h"
#include "sockets.h"

/* Sockets that get their keepalive times in one scan: three system calls each. */
#define KEEPALIVES_PER_SCAN 2000

/* ns; what lives so long gets them, so short connections do without. */
#define KEEPALIVE_AFTER 1000000000ull

/* Closes a connection whose time is over. */
static void check(engine *e, connection *c) {
  uint64_t silent = e->now - c->active_at;
  bool half_closed = c->sides[CLIENT].ended || c->sides[BACKEND].ended;
  if (e->half_close_timeout > 0 && half_closed && silent >= e->half_close_timeout)
    connection_finish(e, c, REASON_HALF_CLOSE_TIMEOUT);
  else if (e->idle_timeout > 0 && silent >= e->idle_timeout)
    connection_finish(e, c, REASON_IDLE_TIMEOUT);
}

static void check_all(engine *e) {
  uint32_t slots = table_slots(&e->table);
  for (uint32_t i = 0; i < slots; i++) {
    connection *c = table_at(&e->table, i);
    if (c != NULL && c->state == STATE_OPEN) check(e, c);
  }
}

/* The kernel's own times are hours; nothing needs others in a connection's first second. Goes on where the last scan's
 * share ended. */
static void set_times(engine *e) {
  uint32_t slots = table_slots(&e->table);
  int share = KEEPALIVES_PER_SCAN;
  for (uint32_t seen = 0; seen < slots && share > 0; seen++) {
    if (e->keepalive_from >= slots) e->keepalive_from = 0;
    connection *c = table_at(&e->table, e->keepalive_from++);
    if (c == NULL || c->state != STATE_OPEN || c->sides[BACKEND].keepalive_times) continue;
    if (e->now - c->accepted_at < KEEPALIVE_AFTER) continue;
    set_keepalive_times(c->sides[BACKEND].fd);
    c->sides[BACKEND].keepalive_times = true;
    share--;
  }
}

void scan(engine *e) {
  check_all(e);
  set_times(e);
  if (e->listeners.paused > 0) listeners_resume(e);
}

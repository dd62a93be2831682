#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "deliver.h"
#include "dial.h"
#include "ending.h"
#include "listener.h"
#include "preread.h"
#include "relay.h"
#include "tag.h"
#include "timers.h"

/* Sockets whose events are fetched at once, between two looks at the clock. What was not fetched is ready in the next
 * turn, edges too. `settle` is done when fewer are ready. */
#define READY_AT_ONCE 32

/* Turns that `settle` takes at most: so many are ready only while bytes flow, which nobody waits for. */
#define SETTLE_TURNS 64

/* What connections with much to move get of each turn together, in ns: others' events, and answers to what was told, come
 * between. A turn without anything else costs some us. */
#define BULK_SHARE_OF_TURN 500000ull

#define SCAN_MS 1000
/* Clients are left to other processes for twice as long at most. */
#define PATIENCE_MS 50
#define NS_PER_MS 1000000ull

/* What can wait is told after so many ms at most, or when there is enough for a turn: each call into JavaScript, and the
 * frame that it writes to the primary, costs as much as what it tells of some connections. */
#define TELL_WITHIN_MS 5

static void dispatch(engine *e, const struct epoll_event *event) {
  uint64_t tag = event->data.u64;
  /* An event that was fetched together with the one that ended its connection finds nothing. */
  connection *c = table_find(&e->table, (uint32_t)tag);
  if (c == NULL) return;
  int side = (int)((tag >> 32) & 1);
  if (c->state == STATE_OPEN)
    relay_ready(e, c, side, event->events);
  else if (side == CLIENT)
    preread_ready(e, c, event->events);
  else if (c->state == STATE_DIALLING)
    dial_ready(e, c, event->events);
}

/* false: there may be more. */
static bool serve_ready(engine *e) {
  struct epoll_event ready[READY_AT_ONCE];
  uint64_t start = uv_hrtime();
  e->moved = 0;
  do {
    int count = e->epoll_fd < 0 ? 0 : epoll_wait(e->epoll_fd, ready, READY_AT_ONCE, 0);
    e->now = uv_hrtime();
    for (int i = 0; i < count; i++) dispatch(e, &ready[i]);
    if (count < READY_AT_ONCE) return true;
  } while (e->now - start < SHARE_OF_TURN);
  return false;
}

static void on_poll(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  (void)serve_ready(handle->data);
  loop_act(handle->data);
}

/* Serves what is ready before it tells, as long as that takes. */
static void settle_on(engine *e) {
  if (e->settles == 0) return;
  if (!serve_ready(e) && e->settle_turns-- > 0) return;
  for (; e->settles > 0; e->settles--) tell_settled(&e->batch);
}

void loop_settle(engine *e) {
  e->settles++;
  e->settle_turns = SETTLE_TURNS;
  settle_on(e);
}

/* Runs after the poll phase, when every socket that was ready has been served, so a turn makes one batch. What takes long
 * comes behind it: those who decide about it run in other processes meanwhile. */
static void on_check(uv_check_t *handle) {
  engine *e = handle->data;
  uv_check_stop(&e->check);
  uv_idle_stop(&e->idle);
  if (e->listeners.shared) listeners_make_exclusive(e);
  settle_on(e);
  /* What can wait may do so beside bulk, too. */
  if (e->batch.urgency == THIS_TURN) {
    uv_timer_stop(&e->delivery_timer);
    deliver(e);
  }
  e->now = uv_hrtime();
  relay_bulk(e, BULK_SHARE_OF_TURN);
  loop_act(e);
}

/* Exists so that the loop does not wait for sockets while there is something to tell. */
static void on_idle(uv_idle_t *handle) {
  (void)handle;
}

static void on_patience_timer(uv_timer_t *handle) {
  engine *e = handle->data;
  e->now = uv_hrtime();
  listeners_look(e);
  loop_act(e);
}

static void on_delivery_timer(uv_timer_t *handle) {
  engine *e = handle->data;
  if (e->batch.count > 0) e->batch.urgency = THIS_TURN;
  loop_act(e);
}

static void on_dial_timer(uv_timer_t *handle) {
  engine *e = handle->data;
  e->now = uv_hrtime();
  dials_expire(e);
  loop_act(e);
}

static void on_preread_timer(uv_timer_t *handle) {
  engine *e = handle->data;
  e->now = uv_hrtime();
  prereads_expire(e);
  loop_act(e);
}

static void on_scan_timer(uv_timer_t *handle) {
  engine *e = handle->data;
  e->now = uv_hrtime();
  if (!scan(e))
    uv_timer_start(&e->scan_timer, on_scan_timer, 0, 0);
  else if (e->listeners.paused > 0)
    listeners_resume(e);
  loop_act(e);
}

static void on_clients(engine *e, uint32_t index) {
  e->now = uv_hrtime();
  listener_accept(e, index);
  loop_act(e);
}

void loop_init(engine *e, uv_loop_t *loop) {
  e->epoll_fd = -1;
  e->on_clients = on_clients;
  /* These only put the handle into a list. */
  uv_check_init(loop, &e->check);
  uv_idle_init(loop, &e->idle);
  uv_timer_init(loop, &e->patience_timer);
  uv_timer_init(loop, &e->delivery_timer);
  uv_timer_init(loop, &e->dial_timer);
  uv_timer_init(loop, &e->preread_timer);
  uv_timer_init(loop, &e->scan_timer);
  e->open_handles = 7;
  e->check.data = e->idle.data = e->patience_timer.data = e->delivery_timer.data = e;
  e->dial_timer.data = e->preread_timer.data = e->scan_timer.data = e;
  uv_unref((uv_handle_t *)&e->check);
  uv_unref((uv_handle_t *)&e->patience_timer);
  uv_unref((uv_handle_t *)&e->dial_timer);
  uv_unref((uv_handle_t *)&e->preread_timer);
  uv_unref((uv_handle_t *)&e->scan_timer);
}

static void on_closed(uv_handle_t *handle) {
  engine_let_go(handle->data);
}

static void on_poll_closed(uv_handle_t *handle) {
  engine *e = handle->data;
  free(handle);
  engine_let_go(e);
}

static void shut(engine *e) {
  if (e->epoll_fd < 0) return;
  uv_close((uv_handle_t *)e->poll, on_poll_closed);
  close(e->epoll_fd);
  e->poll = NULL;
  e->epoll_fd = -1;
}

int loop_open(engine *e) {
  if (e->epoll_fd >= 0) return 0;
  uv_poll_t *poll = malloc(sizeof *poll);
  if (poll == NULL) return ENOMEM;
  int fd = epoll_create1(EPOLL_CLOEXEC);
  int error = fd < 0 ? errno : -uv_poll_init(e->check.loop, poll, fd);
  if (error != 0) {
    if (fd >= 0) close(fd);
    free(poll);
    return error;
  }
  poll->data = e;
  e->poll = poll;
  e->epoll_fd = fd;
  e->open_handles++;
  error = -uv_poll_start(poll, UV_READABLE, on_poll);
  if (error != 0) shut(e);
  return error;
}

void loop_close(engine *e) {
  listeners_stop(e);
  uint32_t slots = table_slots(&e->table);
  for (uint32_t i = 0; i < slots; i++) {
    connection *c = table_at(&e->table, i);
    if (c != NULL) connection_reset(e, c, REASON_DRAINED);
  }
  batch_part(&e->batch, UINT64_MAX);
  shut(e);
  listeners_release(e);
  uv_close((uv_handle_t *)&e->check, on_closed);
  uv_close((uv_handle_t *)&e->idle, on_closed);
  uv_close((uv_handle_t *)&e->patience_timer, on_closed);
  uv_close((uv_handle_t *)&e->delivery_timer, on_closed);
  uv_close((uv_handle_t *)&e->dial_timer, on_closed);
  uv_close((uv_handle_t *)&e->preread_timer, on_closed);
  uv_close((uv_handle_t *)&e->scan_timer, on_closed);
}

static void act_on_batch(engine *e) {
  if (e->batch.urgency == THIS_TURN || e->settles > 0 || e->bulk.first != 0 || e->listeners.shared) {
    uv_check_start(&e->check, on_check);
    uv_idle_start(&e->idle, on_idle);
  } else if (e->batch.urgency == WITHIN_SOME_MS && !uv_is_active((uv_handle_t *)&e->delivery_timer)) {
    uv_timer_start(&e->delivery_timer, on_delivery_timer, TELL_WITHIN_MS, 0);
  }
}

/* In whole ms, never too few. */
static uint64_t wait_until(uint64_t deadline) {
  uint64_t now = uv_hrtime();
  return deadline > now ? (deadline - now + NS_PER_MS - 1) / NS_PER_MS : 0;
}

/* A timer that runs already is early, never late: it looks, and is set again. */
static void act_on_dials(engine *e) {
  const connection *first = queue_first(&e->dials, &e->table);
  if (first == NULL || uv_is_active((uv_handle_t *)&e->dial_timer)) return;
  uv_timer_start(&e->dial_timer, on_dial_timer, wait_until(dial_deadline(e, first)), 0);
}

static void act_on_prereads(engine *e) {
  uint64_t due = e->prereads.due;
  /* Listeners have different times. */
  bool is_early = uv_is_active((uv_handle_t *)&e->preread_timer) && e->preread_timer_due <= due;
  if (due == 0 || is_early) return;
  e->preread_timer_due = due;
  uv_timer_start(&e->preread_timer, on_preread_timer, wait_until(due), 0);
}

static void act_on_listeners(engine *e) {
  if (e->listeners.held_back) listeners_reconsider(e);
  bool is_active = uv_is_active((uv_handle_t *)&e->patience_timer);
  if (e->listeners.held_back && !is_active)
    uv_timer_start(&e->patience_timer, on_patience_timer, PATIENCE_MS, PATIENCE_MS);
  else if (!e->listeners.held_back && is_active)
    uv_timer_stop(&e->patience_timer);
}

static void act_on_scan(engine *e) {
  bool wanted = e->table.size > 0 || e->listeners.paused > 0;
  if (wanted && !uv_is_active((uv_handle_t *)&e->scan_timer))
    uv_timer_start(&e->scan_timer, on_scan_timer, SCAN_MS, 0);
}

/* Gives the epoll instance up, and lets the process end and the engine be collected, when there is nothing to do. */
static void act_on_activity(engine *e) {
  bool active = e->listeners.count > 0 || e->table.size > 0 || e->batch.count > 0 || e->settles > 0;
  if (!active) {
    shut(e);
    listeners_release(e);
  }
  if (active == e->self_is_strong) return;
  e->self_is_strong = active;
  if (active)
    napi_reference_ref(e->env, e->self, NULL);
  else
    napi_reference_unref(e->env, e->self, NULL);
}

void loop_act(engine *e) {
  if (e->closing) return;
  act_on_listeners(e);
  act_on_batch(e);
  act_on_dials(e);
  act_on_prereads(e);
  act_on_scan(e);
  act_on_activity(e);
}

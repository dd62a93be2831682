#ifndef EDGEPROXY_ENGINE_H
#define EDGEPROXY_ENGINE_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "batch.h"
#include "buffers.h"
#include "connection.h"
#include "prereads.h"
#include "queue.h"
#include "sockets.h"
#include "table.h"

/* For each kind of work, in ns: a turn may bring several. */
#define SHARE_OF_TURN 2000000ull

struct door;

struct listener {
  struct door *door;
  int fd;
  /* By what it is known above. */
  int32_t id;
  /* Its clients are told when their first bytes are there. NULL: at once. */
  struct preread_queue *prereads;
  /* The kernel cannot give more descriptors or memory: looked at again once a second. */
  bool paused;
  /* How often in a row clients waited when it was looked at, while they were left to others. */
  uint8_t waited;
};

struct listeners {
  struct listener *list;
  uint32_t count;
  uint32_t capacity;
  uint32_t paused;
  /* Clients are left to other processes: the loop looks after them now and then. */
  bool held_back;
  /* Some door is watched in a way that wakes everybody. */
  bool shared;
  /* A descriptor to give up when there is none, so that a client can be accepted and told. -1: none */
  int reserve_fd;
};

/* Where a look at all connections goes on. */
struct scan {
  /* Index of a slot of the table. */
  uint32_t from;
  /* Counts the looks. */
  uint32_t pass;
};

/*
 * One engine: an epoll instance of its own, nested in the loop of the thread that made it. Everything runs on that
 * thread. It holds sockets and moves bytes; whatever has to be decided is told to JavaScript, which answers by commands.
 *
 * What is to be done later, a delivery, a scan, the end of a dial's time, shows in these fields; the loop, which nobody else
 * needs to know, acts on them after each turn and each command.
 */
typedef struct engine {
  /* -1 while there is nothing to do: an engine has descriptors only while it serves. */
  int epoll_fd;
  /* ns of the monotonic clock, taken once for every batch of sockets that are ready, and at every command. */
  uint64_t now;

  /* In ns; 0 of the latter three: off. */
  uint64_t connect_timeout;
  uint64_t idle_timeout;
  uint64_t half_close_timeout;
  uint64_t unacked_timeout;
  uint32_t max_connections;
  struct port_range ephemeral;
  /* Connections beyond which clients are left to other processes; 0: none are. */
  uint32_t accept_limit;

  struct table table;
  struct buffers buffers;
  struct batch batch;
  struct listeners listeners;
  /* All dials have the same time, so the first to start is the first to run out of it. */
  struct queue dials;
  /* How many in a row had no answer at once. */
  uint32_t dials_unanswered;
  /* Open connections that have more to move than one turn of the loop is to bring. */
  struct queue bulk;
  /* Bytes that were moved in this turn. */
  uint64_t moved;
  struct prereads prereads;
  struct scan scan;
  /* Answers to `settle` that are owed, and how many more turns they may wait for sockets that are ready. */
  uint32_t settles;
  uint32_t settle_turns;

  /* Lives and dies with `epoll_fd`. */
  uv_poll_t *poll;
  uv_check_t check;
  uv_idle_t idle;
  uv_timer_t patience_timer;
  uv_timer_t delivery_timer;
  uv_timer_t dial_timer;
  uv_timer_t preread_timer;
  /* When it runs, in ns. */
  uint64_t preread_timer_due;
  uv_timer_t scan_timer;
  /* Handles that libuv has not closed yet. */
  int open_handles;
  bool closing;
  /* Called when libuv has let go of the engine. */
  void (*closed)(struct engine *e);
  /* Called when a listener, by its index, has clients. */
  void (*on_clients)(struct engine *e, uint32_t index);

  napi_env env;
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup_hook;
  /* The JavaScript object; strong while there is anything that it may be told of, so that it is not collected before. */
  napi_ref self;
  bool self_is_strong;
  /* JavaScript can still reach this engine. */
  bool wrapped;
  /* What records are copied to. */
  napi_ref records;
  uint8_t *records_data;
} engine;

/* What runs in this turn has had its share of it: the rest goes on in the next. */
static inline bool engine_is_late(const engine *e) {
  return uv_hrtime() - e->now >= SHARE_OF_TURN;
}

/* libuv has let go of one of its handles. */
static inline void engine_let_go(engine *e) {
  if (--e->open_handles == 0) e->closed(e);
}

#endif

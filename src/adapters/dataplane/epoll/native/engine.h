#ifndef EDGEPROXY_ENGINE_H
#define EDGEPROXY_ENGINE_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "batch.h"
#include "buffers.h"
#include "connection.h"
#include "dial.h"
#include "preread.h"
#include "listener.h"
#include "sockets.h"
#include "table.h"
#include "timers.h"

/*
 * One engine: an epoll instance of its own, nested in the loop of the thread that made it. Everything runs on that
 * thread. It holds sockets and moves bytes; whatever has to be decided is told to JavaScript, which answers by commands.
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
  struct dial_queue dials;
  struct prereads prereads;
  struct scan scan;
  /* Answers to `settle` that are owed, and how many more turns they may wait for sockets that are ready. */
  uint32_t settles;
  uint32_t settle_turns;
  /* Counts the times that sockets which were ready were served. */
  uint32_t turn;

  /* Lives and dies with `epoll_fd`. */
  uv_poll_t *poll;
  uv_check_t check;
  uv_idle_t idle;
  uv_timer_t patience_timer;
  uv_timer_t delivery_timer;
  uv_timer_t dial_timer;
  uv_timer_t preread_timer;
  uv_timer_t scan_timer;
  /* Handles that libuv has not closed yet. */
  int open_handles;
  bool closing;

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

/* libuv has let go of the engine. */
void engine_closed(engine *e);

#endif

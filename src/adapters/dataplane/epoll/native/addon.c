#include <errno.h>
#include <stdlib.h>

#include "exceptions.h"
#include "link.h"
#include "listener.h"
#include "look.h"
#include "loop.h"
#include "methods.h"
#include "process.h"

static void destroy(engine *e) {
  listeners_free(&e->listeners);
  table_free(&e->table);
  buffers_free(&e->buffers);
  batch_free(&e->batch);
  free(e);
}

/* libuv has let go of the engine. */
static void on_closed(engine *e) {
  if (e->cleanup_hook != NULL) napi_remove_async_cleanup_hook(e->cleanup_hook);
  e->cleanup_hook = NULL;
  e->open_handles = -1;
  if (!e->wrapped) destroy(e);
}

static void close_engine(engine *e) {
  if (e->closing) return;
  e->closing = true;
  loop_close(e);
}

/* The thread ends: nothing of libuv's may be left in its loop. */
static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  close_engine(data);
}

/* JavaScript cannot reach the engine any more. */
static void on_finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  engine *e = data;
  e->wrapped = false;
  if (e->records != NULL) napi_delete_reference(env, e->records);
  e->records = NULL;
  if (e->async_context != NULL) napi_async_destroy(env, e->async_context);
  e->async_context = NULL;
  napi_delete_reference(env, e->self);
  e->self = NULL;
  if (e->open_handles == -1)
    destroy(e);
  else
    close_engine(e);
}

static int start(engine *e, napi_env env, napi_value self) {
  napi_value name;
  uv_loop_t *loop;
  e->env = env;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOTSUP;
  if (!buffers_init(&e->buffers)) return ENOMEM;
  e->listeners.reserve_fd = -1;
  e->closed = on_closed;
  loop_init(e, loop);
  /* No resource: with `self` as one, the context would keep it from being collected. */
  if (napi_create_string_utf8(env, "edgeproxy", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &e->async_context) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_cleanup, e, &e->cleanup_hook) != napi_ok ||
      napi_wrap(env, self, e, on_finalize, NULL, &e->self) != napi_ok)
    return ENOMEM;
  e->wrapped = true;
  return 0;
}

#define NUMBERS 5

/* new Engine(connectTimeoutMs, idleTimeoutMs, halfCloseTimeoutMs, unackedTimeoutMs, maxConnections) */
static napi_value construct(napi_env env, napi_callback_info info) {
  napi_value arguments[NUMBERS], self;
  size_t count = NUMBERS;
  double numbers[NUMBERS] = {0};
  if (napi_get_cb_info(env, info, &count, arguments, &self, NULL) != napi_ok) return NULL;
  for (size_t i = 0; i < NUMBERS; i++) {
    if (i < count && napi_get_value_double(env, arguments[i], &numbers[i]) == napi_ok) continue;
    napi_throw_type_error(env, NULL, "an engine takes five numbers");
    return NULL;
  }
  engine *e = calloc(1, sizeof *e);
  int error = ENOMEM;
  if (e != NULL) {
    e->connect_timeout = to_ns(numbers[0]);
    e->idle_timeout = to_ns(numbers[1]);
    e->half_close_timeout = to_ns(numbers[2]);
    e->unacked_timeout = to_ns(numbers[3]);
    e->max_connections = numbers[4] >= MAX_CONNECTIONS ? MAX_CONNECTIONS : (uint32_t)numbers[4];
    e->ephemeral = ephemeral_ports();
    error = start(e, env, self);
  }
  if (error == 0) return self;
  if (e != NULL && e->open_handles > 0)
    close_engine(e);
  else if (e != NULL)
    destroy(e);
  throw_errno(env, "the engine cannot start", error);
  return NULL;
}

NAPI_MODULE_INIT() {
  size_t count;
  const napi_property_descriptor *methods = engine_methods(&count);
  napi_value class;
  if (napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, NULL, count, methods, &class) != napi_ok ||
      napi_set_named_property(env, exports, "Engine", class) != napi_ok || !look_add_to(env, exports) ||
      !link_add_to(env, exports) || !process_add_to(env, exports))
    return NULL;
  return exports;
}

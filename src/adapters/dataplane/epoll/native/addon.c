#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dial.h"
#include "ending.h"
#include "listener.h"
#include "loop.h"
#include "preread.h"
#include "process.h"
#include "sockets.h"
#include "wire.h"

#define NS_PER_MS 1e6

/* The largest host text that is an IP literal, with a zone. */
#define HOST_BYTES 80

static void throw_errno(napi_env env, const char *what, int error) {
  napi_value code = NULL, message = NULL, failure = NULL;
  napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, what, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &failure);
  napi_throw(env, failure);
}

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

/* Times in ms; 0: off. */
static uint64_t to_ns(double ms) {
  return ms > 0 ? (uint64_t)(ms * NS_PER_MS) : 0;
}

/* The engine that a method was called on, and its arguments; NULL: an exception is pending. */
static engine *enter(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  napi_value self;
  void *data = NULL;
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, arguments, &self, NULL) != napi_ok || given < count ||
      napi_unwrap(env, self, &data) != napi_ok) {
    napi_throw_type_error(env, NULL, "not called as a method of an engine, with all its arguments");
    return NULL;
  }
  engine *e = data;
  e->now = uv_hrtime();
  return e->closing ? NULL : e;
}

static connection *find(engine *e, napi_value value) {
  uint32_t number = 0;
  if (napi_get_value_uint32(e->env, value, &number) != napi_ok) return NULL;
  connection *c = table_find(&e->table, number);
  /* The number is nobody's as long as it was not told. */
  return c != NULL && preread_is_told(c) ? c : NULL;
}

static napi_value method_listen(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  engine *e = enter(env, info, 4, arguments);
  if (e == NULL) return NULL;
  int32_t fd = -1, id = 0;
  uint32_t preread_bytes = 0;
  double preread_timeout = 0;
  napi_get_value_int32(env, arguments[0], &fd);
  napi_get_value_int32(env, arguments[1], &id);
  napi_get_value_uint32(env, arguments[2], &preread_bytes);
  napi_get_value_double(env, arguments[3], &preread_timeout);
  /* No read takes more. */
  if (preread_bytes > SCRATCH_BYTES) preread_bytes = SCRATCH_BYTES;
  int error = loop_open(e);
  if (error == 0) error = listener_add(e, fd, id, preread_bytes, to_ns(preread_timeout));
  loop_act(e);
  if (error != 0) throw_errno(env, "listen", error);
  return NULL;
}

static napi_value method_stop(napi_env env, napi_callback_info info) {
  engine *e = enter(env, info, 0, NULL);
  if (e == NULL) return NULL;
  listeners_stop(e);
  loop_act(e);
  return NULL;
}

static napi_value method_accept_below(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  engine *e = enter(env, info, 1, arguments);
  if (e == NULL) return NULL;
  napi_get_value_uint32(env, arguments[0], &e->accept_limit);
  loop_act(e);
  return NULL;
}

static napi_value method_read_preread(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  engine *e = enter(env, info, 1, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  if (c == NULL) return NULL;
  preread_ask(e, c);
  loop_act(e);
  return NULL;
}

/* preread(conn, isAnswer): a copy of the bytes that a record tells of; undefined for an answer that was taken back, and for
 * a connection that is over. */
static napi_value method_preread(napi_env env, napi_callback_info info) {
  napi_value arguments[2], buffer, bytes = NULL;
  engine *e = enter(env, info, 2, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  bool is_answer = false;
  if (c == NULL || napi_get_value_bool(env, arguments[1], &is_answer) != napi_ok) return NULL;
  if (is_answer && !preread_fetch(c)) return NULL;
  uint32_t length = preread_length(c);
  void *data;
  if (napi_create_arraybuffer(env, length, &data, &buffer) != napi_ok) return NULL;
  if (length > 0) memcpy(data, c->preread->bytes->data, length);
  napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &bytes);
  return bytes;
}

static napi_value method_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  engine *e = enter(env, info, 5, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  if (c == NULL) return NULL;
  char host[HOST_BYTES];
  size_t length = 0;
  double port = 0, skip = 0;
  struct sockaddr_storage to;
  bool contended = false;
  napi_get_value_bool(env, arguments[4], &contended);
  bool valid = napi_get_value_string_latin1(env, arguments[1], host, sizeof host, &length) == napi_ok &&
               napi_get_value_double(env, arguments[2], &port) == napi_ok && length < sizeof host - 1 && port >= 1 &&
               port <= 65535 && port == (uint16_t)port && napi_get_value_double(env, arguments[3], &skip) == napi_ok &&
               skip >= 0 && skip <= preread_length(c) && skip == (uint32_t)skip;
  dial_start(e, c, &to, valid ? parse_endpoint(host, (uint16_t)port, &to) : 0, valid ? (uint32_t)skip : 0, contended);
  loop_act(e);
  return NULL;
}

static napi_value method_reject(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  engine *e = enter(env, info, 2, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  bool reset = false;
  if (c == NULL) return NULL;
  napi_get_value_bool(env, arguments[1], &reset);
  connection_reject(e, c, reset);
  loop_act(e);
  return NULL;
}

static napi_value method_close(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  engine *e = enter(env, info, 1, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  if (c == NULL) return NULL;
  connection_reset(e, c, REASON_DRAINED);
  loop_act(e);
  return NULL;
}

static napi_value method_settle(napi_env env, napi_callback_info info) {
  engine *e = enter(env, info, 0, NULL);
  if (e == NULL) return NULL;
  loop_settle(e);
  loop_act(e);
  return NULL;
}

static napi_value method_size(napi_env env, napi_callback_info info) {
  napi_value size = NULL;
  engine *e = enter(env, info, 0, NULL);
  if (e != NULL) napi_create_uint32(env, e->table.size, &size);
  return size;
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

/* lookAtWire(fd, out: Float64Array(4)): what `struct wire` holds. false: the kernel does not tell. For the engine that
 * has its sockets from Node. */
static napi_value look_at_wire(napi_env env, napi_callback_info info) {
  napi_value arguments[2], told = NULL;
  size_t count = 2, length = 0;
  int32_t fd = -1;
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count < 2 ||
      napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
      napi_get_typedarray_info(env, arguments[1], &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < 4) {
    napi_throw_type_error(env, NULL, "takes a descriptor and a Float64Array of four");
    return NULL;
  }
  struct wire wire;
  bool known = wire_look(fd, &wire);
  if (known) {
    double *out = data;
    out[0] = (double)wire.acked;
    out[1] = wire.silent_ms;
    out[2] = wire.settled;
    out[3] = wire.unanswered;
  }
  napi_get_boolean(env, known, &told);
  return told;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor methods[] = {
      {"listen", NULL, method_listen, NULL, NULL, NULL, napi_default_method, NULL},
      {"stopAccepting", NULL, method_stop, NULL, NULL, NULL, napi_default_method, NULL},
      {"acceptBelow", NULL, method_accept_below, NULL, NULL, NULL, napi_default_method, NULL},
      {"prereadMore", NULL, method_read_preread, NULL, NULL, NULL, napi_default_method, NULL},
      {"preread", NULL, method_preread, NULL, NULL, NULL, napi_default_method, NULL},
      {"connect", NULL, method_connect, NULL, NULL, NULL, napi_default_method, NULL},
      {"reject", NULL, method_reject, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, method_close, NULL, NULL, NULL, napi_default_method, NULL},
      {"settle", NULL, method_settle, NULL, NULL, NULL, napi_default_method, NULL},
      {"size", NULL, method_size, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value class, function;
  if (napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, NULL, sizeof methods / sizeof *methods, methods,
                        &class) != napi_ok ||
      napi_set_named_property(env, exports, "Engine", class) != napi_ok ||
      napi_create_function(env, "lookAtWire", NAPI_AUTO_LENGTH, look_at_wire, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "lookAtWire", function) != napi_ok || !process_add_to(env, exports))
    return NULL;
  return exports;
}

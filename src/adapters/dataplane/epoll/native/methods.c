#include "methods.h"

#include <errno.h>
#include <string.h>

#include "dial.h"
#include "ending.h"
#include "exceptions.h"
#include "listener.h"
#include "loop.h"
#include "preread.h"
#include "sockets.h"

#define NS_PER_MS 1e6

/* The largest host text that is an IP literal, with a zone. */
#define HOST_BYTES 80

uint64_t to_ns(double ms) {
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

/* A method whose only argument is a connection. */
static napi_value act_on(napi_env env, napi_callback_info info, void (*act)(engine *e, connection *c)) {
  napi_value arguments[1];
  engine *e = enter(env, info, 1, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  if (c == NULL) return NULL;
  act(e, c);
  loop_act(e);
  return NULL;
}

static napi_value method_read_preread(napi_env env, napi_callback_info info) {
  return act_on(env, info, preread_ask);
}

static napi_value method_watch_hang_up(napi_env env, napi_callback_info info) {
  return act_on(env, info, preread_watch);
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

/* What a Uint8Array holds; NULL: `value` is none. */
static const void *bytes_of(napi_env env, napi_value value, size_t *length) {
  bool is_typed = false;
  napi_typedarray_type type;
  void *data = NULL;
  *length = 0;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed) return NULL;
  if (napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array)
    *length = 0;
  return data;
}

static socklen_t endpoint_of(napi_env env, napi_value host_value, napi_value port_value, struct sockaddr_storage *to) {
  char host[HOST_BYTES];
  size_t length = 0;
  double port = 0;
  bool valid = napi_get_value_string_latin1(env, host_value, host, sizeof host, &length) == napi_ok &&
               napi_get_value_double(env, port_value, &port) == napi_ok && length < sizeof host - 1 && port >= 1 &&
               port <= 65535 && port == (uint16_t)port;
  return valid ? parse_endpoint(host, (uint16_t)port, to) : 0;
}

/* connect(conn, host, port, fd, skip, contended, prefix?): `fd` of a socket that is connected, which is duplicated, or -1. */
static napi_value method_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[7];
  engine *e = enter(env, info, 7, arguments);
  connection *c = e == NULL ? NULL : find(e, arguments[0]);
  if (c == NULL) return NULL;
  struct dial how = {.fd = -1};
  int32_t fd = -1;
  double skip = 0;
  size_t prefix_length = 0;
  napi_get_value_int32(env, arguments[3], &fd);
  napi_get_value_bool(env, arguments[5], &how.contended);
  how.prefix = bytes_of(env, arguments[6], &prefix_length);
  bool valid = napi_get_value_double(env, arguments[4], &skip) == napi_ok && skip >= 0 && skip <= preread_length(c) &&
               skip == (uint32_t)skip && prefix_length <= MAX_PREFIX_BYTES;
  if (valid && fd >= 0) {
    how.fd = duplicate(fd);
    if (how.fd < 0) how.error = errno;
  } else if (valid) {
    how.length = endpoint_of(env, arguments[1], arguments[2], &how.to);
    valid = how.length > 0;
  }
  if (!valid) how.error = EINVAL;
  how.skip = valid ? (uint32_t)skip : 0;
  how.prefix_length = valid ? (uint32_t)prefix_length : 0;
  dial_start(e, c, &how);
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

static void drain(engine *e, connection *c) {
  connection_reset(e, c, REASON_DRAINED);
}

static napi_value method_close(napi_env env, napi_callback_info info) {
  return act_on(env, info, drain);
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

const napi_property_descriptor *engine_methods(size_t *count) {
  static const napi_property_descriptor METHODS[] = {
      {"listen", NULL, method_listen, NULL, NULL, NULL, napi_default_method, NULL},
      {"stopAccepting", NULL, method_stop, NULL, NULL, NULL, napi_default_method, NULL},
      {"acceptBelow", NULL, method_accept_below, NULL, NULL, NULL, napi_default_method, NULL},
      {"watchHangUp", NULL, method_watch_hang_up, NULL, NULL, NULL, napi_default_method, NULL},
      {"prereadMore", NULL, method_read_preread, NULL, NULL, NULL, napi_default_method, NULL},
      {"preread", NULL, method_preread, NULL, NULL, NULL, napi_default_method, NULL},
      {"connect", NULL, method_connect, NULL, NULL, NULL, napi_default_method, NULL},
      {"reject", NULL, method_reject, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, method_close, NULL, NULL, NULL, napi_default_method, NULL},
      {"settle", NULL, method_settle, NULL, NULL, NULL, napi_default_method, NULL},
      {"size", NULL, method_size, NULL, NULL, NULL, napi_default_method, NULL},
  };
  *count = sizeof METHODS / sizeof *METHODS;
  return METHODS;
}

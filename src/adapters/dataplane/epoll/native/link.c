#include "link.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "exceptions.h"
#include "sockets.h"

struct link {
  uv_poll_t poll;
  int fd;
  /* What is watched: UV_READABLE, UV_WRITABLE. */
  int watched;
  /* What is read, up to so many bytes at once. */
  uint8_t *data;
  size_t size;
  napi_env env;
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup_hook;
  /* Strong while it is open: it may be called at any time. */
  napi_ref self;
  napi_ref buffer;
  bool is_open;
  /* libuv has not let go of it, JavaScript can reach it. */
  bool in_loop;
  bool wrapped;
};

static void free_if_unused(struct link *link) {
  if (!link->in_loop && !link->wrapped) free(link);
}

static void on_poll_closed(uv_handle_t *handle) {
  struct link *link = handle->data;
  link->in_loop = false;
  if (link->cleanup_hook != NULL) napi_remove_async_cleanup_hook(link->cleanup_hook);
  link->cleanup_hook = NULL;
  free_if_unused(link);
}

static void shut(struct link *link) {
  if (!link->is_open) return;
  link->is_open = false;
  uv_close((uv_handle_t *)&link->poll, on_poll_closed);
  close(link->fd);
  napi_reference_unref(link->env, link->self, NULL);
}

/* The thread ends: nothing of libuv's may be left in its loop. */
static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  shut(data);
}

static void on_finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  struct link *link = data;
  link->wrapped = false;
  shut(link);
  if (link->buffer != NULL) napi_delete_reference(env, link->buffer);
  if (link->async_context != NULL) napi_async_destroy(env, link->async_context);
  napi_delete_reference(env, link->self);
  free_if_unused(link);
}

/* Calls `name(number)` of the object. */
static void call(struct link *link, const char *name, double number) {
  napi_env env = link->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value self, function, argument, result;
  if (napi_get_reference_value(env, link->self, &self) == napi_ok && self != NULL &&
      napi_get_named_property(env, self, name, &function) == napi_ok &&
      napi_create_double(env, number, &argument) == napi_ok)
    napi_make_callback(env, link->async_context, self, function, 1, &argument, &result);
  report_exception(env);
  napi_close_handle_scope(env, scope);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
  struct link *link = handle->data;
  if (events & UV_WRITABLE) call(link, "onWritable", 0);
  /* A failure is found by a read. */
  if (!link->is_open || !(status != 0 || (events & UV_READABLE))) return;
  ssize_t n;
  do n = recv(link->fd, link->data, link->size, 0);
  while (n < 0 && errno == EINTR);
  if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) call(link, "onBytes", n < 0 ? -errno : (double)n);
}

static struct link *enter(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  napi_value self;
  void *data = NULL;
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, arguments, &self, NULL) != napi_ok || given < count ||
      napi_unwrap(env, self, &data) != napi_ok) {
    napi_throw_type_error(env, NULL, "not called as a method of a link, with all its arguments");
    return NULL;
  }
  struct link *link = data;
  return link->is_open ? link : NULL;
}

/* send(bytes: Uint8Array): how many the kernel took; below 0: an errno. */
static napi_value method_send(napi_env env, napi_callback_info info) {
  napi_value bytes, taken = NULL;
  struct link *link = enter(env, info, 1, &bytes);
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  ssize_t n = -EPIPE;
  if (link != NULL && napi_get_typedarray_info(env, bytes, &type, &length, &data, NULL, NULL) == napi_ok &&
      type == napi_uint8_array) {
    do n = send(link->fd, data, length, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) n = errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
  }
  napi_create_double(env, (double)n, &taken);
  return taken;
}

/* watch(readable, writable) */
static napi_value method_watch(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct link *link = enter(env, info, 2, arguments);
  bool readable = false, writable = false;
  if (link == NULL) return NULL;
  napi_get_value_bool(env, arguments[0], &readable);
  napi_get_value_bool(env, arguments[1], &writable);
  int watched = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  if (watched == link->watched) return NULL;
  link->watched = watched;
  int error = watched == 0 ? uv_poll_stop(&link->poll) : uv_poll_start(&link->poll, watched, on_poll);
  if (error != 0) throw_errno(env, "watch", -error);
  return NULL;
}

static napi_value method_end(napi_env env, napi_callback_info info) {
  struct link *link = enter(env, info, 0, NULL);
  if (link != NULL) (void)shutdown(link->fd, SHUT_WR);
  return NULL;
}

static napi_value method_close(napi_env env, napi_callback_info info) {
  struct link *link = enter(env, info, 0, NULL);
  if (link != NULL) shut(link);
  return NULL;
}

static int start(struct link *link, napi_env env, napi_value self, int fd, napi_value buffer) {
  napi_value name;
  uv_loop_t *loop;
  link->env = env;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOTSUP;
  link->fd = duplicate(fd);
  if (link->fd < 0) return errno;
  int error = -uv_poll_init(loop, &link->poll, link->fd);
  if (error != 0) {
    close(link->fd);
    return error;
  }
  link->poll.data = link;
  link->in_loop = link->is_open = true;
  if (napi_create_reference(env, buffer, 1, &link->buffer) != napi_ok ||
      napi_create_string_utf8(env, "edgeproxy", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &link->async_context) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_cleanup, link, &link->cleanup_hook) != napi_ok ||
      napi_wrap(env, self, link, on_finalize, NULL, &link->self) != napi_ok)
    return ENOMEM;
  link->wrapped = true;
  napi_reference_ref(env, link->self, NULL);
  return 0;
}

/* new Link(fd, buffer: ArrayBuffer) */
static napi_value construct(napi_env env, napi_callback_info info) {
  napi_value arguments[2], self;
  size_t count = 2;
  int32_t fd = -1;
  struct link *link = calloc(1, sizeof *link);
  int error = ENOMEM;
  if (link != NULL) {
    error = EINVAL;
    if (napi_get_cb_info(env, info, &count, arguments, &self, NULL) == napi_ok && count == 2 &&
        napi_get_value_int32(env, arguments[0], &fd) == napi_ok &&
        napi_get_arraybuffer_info(env, arguments[1], (void **)&link->data, &link->size) == napi_ok && link->size > 0)
      error = start(link, env, self, fd, arguments[1]);
  }
  if (error == 0) return self;
  if (link != NULL && link->in_loop) {
    link->is_open = false;
    close(link->fd);
    uv_close((uv_handle_t *)&link->poll, on_poll_closed);
  } else {
    free(link);
  }
  throw_errno(env, "the link cannot be opened", error);
  return NULL;
}

bool link_add_to(napi_env env, napi_value exports) {
  const napi_property_descriptor methods[] = {
      {"send", NULL, method_send, NULL, NULL, NULL, napi_default_method, NULL},
      {"watch", NULL, method_watch, NULL, NULL, NULL, napi_default_method, NULL},
      {"end", NULL, method_end, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, method_close, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value class;
  return napi_define_class(env, "Link", NAPI_AUTO_LENGTH, construct, NULL, sizeof methods / sizeof *methods, methods,
                           &class) == napi_ok &&
         napi_set_named_property(env, exports, "Link", class) == napi_ok;
}

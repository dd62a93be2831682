#include "exceptions.h"

#include <stdbool.h>
#include <uv.h>

void throw_errno(napi_env env, const char *what, int error) {
  napi_value code = NULL, message = NULL, failure = NULL;
  napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, what, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &failure);
  napi_throw(env, failure);
}

void report_exception(napi_env env) {
  napi_value error;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

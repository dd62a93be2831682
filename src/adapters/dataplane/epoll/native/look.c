#include "look.h"

#include "wire.h"

/* lookAtWire(fd, out: Float64Array(4)): what `struct wire` holds. false: the kernel does not tell. */
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

bool look_add_to(napi_env env, napi_value exports) {
  napi_value function;
  return napi_create_function(env, "lookAtWire", NAPI_AUTO_LENGTH, look_at_wire, NULL, &function) == napi_ok &&
         napi_set_named_property(env, exports, "lookAtWire", function) == napi_ok;
}

#include "process.h"

#include <signal.h>
#include <sys/prctl.h>

static napi_value die_with_parent(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  /* Fails for no valid signal. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return NULL;
}

bool process_add_to(napi_env env, napi_value exports) {
  napi_value function;
  return napi_create_function(env, "dieWithParent", NAPI_AUTO_LENGTH, die_with_parent, NULL, &function) == napi_ok &&
         napi_set_named_property(env, exports, "dieWithParent", function) == napi_ok;
}

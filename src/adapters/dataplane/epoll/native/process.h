#ifndef EDGEPROXY_PROCESS_H
#define EDGEPROXY_PROCESS_H

#include <node_api.h>
#include <stdbool.h>

/* Adds dieWithParent() to `exports`: from then on the kernel kills this process when the thread that started it ends, also
 * while it is stopped or hangs. A parent that is gone already is not noticed: the caller compares its pid afterwards. */
bool process_add_to(napi_env env, napi_value exports);

#endif

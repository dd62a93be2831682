#ifndef EDGEPROXY_LOOK_H
#define EDGEPROXY_LOOK_H

#include <node_api.h>
#include <stdbool.h>

/* Adds lookAtWire() to `exports`, for the engine that has its sockets from Node. */
bool look_add_to(napi_env env, napi_value exports);

#endif

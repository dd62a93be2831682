#ifndef EDGEPROXY_LINK_H
#define EDGEPROXY_LINK_H

#include <node_api.h>
#include <stdbool.h>

/*
 * Adds the class Link to `exports`: a stream socket to another process, read into one buffer and written from the caller's,
 * without a stream's objects between. load-addon.ts says what its methods do.
 */
bool link_add_to(napi_env env, napi_value exports);

#endif

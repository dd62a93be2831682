#ifndef EDGEPROXY_METHODS_H
#define EDGEPROXY_METHODS_H

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

/* What JavaScript calls of an engine, its `this`; load-addon.ts says what they do. */
const napi_property_descriptor *engine_methods(size_t *count);

/* Times in ms; 0: off. */
uint64_t to_ns(double ms);

#endif

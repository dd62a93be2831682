#ifndef EDGEPROXY_EXCEPTIONS_H
#define EDGEPROXY_EXCEPTIONS_H

#include <node_api.h>

/* Throws an error whose `code` is the errno's name. */
void throw_errno(napi_env env, const char *what, int error);
/* What a callback of JavaScript threw is told as Node tells what nobody catches. */
void report_exception(napi_env env);

#endif

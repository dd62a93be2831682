#include "deliver.h"

#include <string.h>

#include "exceptions.h"

/* An ArrayBuffer for the events. false: there is none; an exception is pending. */
static bool make_records(engine *e) {
  napi_value buffer;
  void *data;
  if (e->records != NULL) return true;
  if (napi_create_arraybuffer(e->env, RECORDS_A_TURN * sizeof(struct record), &data, &buffer) != napi_ok ||
      napi_create_reference(e->env, buffer, 1, &e->records) != napi_ok)
    return false;
  e->records_data = data;
  return true;
}

void deliver(engine *e) {
  napi_env env = e->env;
  napi_handle_scope scope;
  if (e->closing || e->batch.count == 0 || napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (!make_records(e)) napi_fatal_error("edgeproxy", NAPI_AUTO_LENGTH, "no memory for events", NAPI_AUTO_LENGTH);
  struct batch *batch = &e->batch;
  uint32_t count = batch->count < RECORDS_A_TURN ? batch->count : RECORDS_A_TURN;
  memcpy(e->records_data, batch->records + batch->first, count * sizeof(struct record));
  /* Before the call: what it causes belongs to a later batch. */
  batch_forget(batch, count);
  uint64_t told = batch->told;

  napi_value self, function, arguments[2], result;
  if (napi_get_reference_value(env, e->self, &self) == napi_ok && self != NULL &&
      napi_get_named_property(env, self, "deliver", &function) == napi_ok &&
      napi_create_uint32(env, count, &arguments[0]) == napi_ok &&
      napi_get_reference_value(env, e->records, &arguments[1]) == napi_ok)
    napi_make_callback(env, e->async_context, self, function, 2, arguments, &result);
  report_exception(env);
  napi_close_handle_scope(env, scope);
  batch_part(batch, told);
}

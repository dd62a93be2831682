#include "deliver.h"

#include <string.h>

#include "engine.h"
#include "loop.h"

#define MIN_RECORDS 1024

/* An ArrayBuffer that holds the batch. false: there is none; an exception is pending. */
static bool make_records(engine *e) {
  uint32_t wanted = e->batch.count;
  /* A buffer that only an unusual batch needed is given up with the next usual one. */
  bool oversized = e->records_capacity > 4 * MIN_RECORDS && wanted < e->records_capacity / 4;
  if (e->records != NULL && wanted <= e->records_capacity && !oversized) return true;
  uint32_t capacity = MIN_RECORDS;
  while (capacity < wanted) capacity *= 2;
  napi_value buffer;
  void *data;
  if (napi_create_arraybuffer(e->env, (size_t)capacity * sizeof(struct record), &data, &buffer) != napi_ok) return false;
  if (e->records != NULL) napi_delete_reference(e->env, e->records);
  e->records = NULL;
  if (napi_create_reference(e->env, buffer, 1, &e->records) != napi_ok) return false;
  e->records_data = data;
  e->records_capacity = capacity;
  return true;
}

static void report_exception(napi_env env) {
  napi_value error;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void deliver(engine *e) {
  napi_env env = e->env;
  napi_handle_scope scope;
  if (e->closing || e->batch.count == 0 || napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (!make_records(e)) napi_fatal_error("edgeproxy", NAPI_AUTO_LENGTH, "no memory for events", NAPI_AUTO_LENGTH);
  memcpy(e->records_data, e->batch.records, (size_t)e->batch.count * sizeof(struct record));
  uint32_t count = e->batch.count;
  uint32_t partings = e->batch.parting_count;
  /* Before the call: what it causes belongs to the next batch. */
  batch_clear(&e->batch);

  napi_value self, function, arguments[2], result;
  if (napi_get_reference_value(env, e->self, &self) == napi_ok && self != NULL &&
      napi_get_named_property(env, self, "deliver", &function) == napi_ok &&
      napi_create_uint32(env, count, &arguments[0]) == napi_ok &&
      napi_get_reference_value(env, e->records, &arguments[1]) == napi_ok)
    napi_make_callback(env, e->async_context, self, function, 2, arguments, &result);
  report_exception(env);
  napi_close_handle_scope(env, scope);
  batch_part(&e->batch, partings);
  if (!e->closing) loop_update_activity(e);
}

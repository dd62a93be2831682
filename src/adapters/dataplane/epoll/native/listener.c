#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"
#include "preread.h"
#include "sockets.h"

/* Clients that the kernel queues; it takes the smaller of this and `net.core.somaxconn`. */
#define BACKLOG 4096

/* Clients accepted from one listening socket in one turn of the loop. */
#define ACCEPT_BATCH 64

/* More than the environment variable that lists them has room for. */
#define MAX_LISTENERS (1u << 15)

/* Clients taken that others left waiting, doubled with each look after which there still are some: 8 to 256. */
#define FIRST_IMPATIENT_BATCH 8
#define MAX_WAITED 6

static int open_reserve(void) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void listeners_free(struct listeners *listeners) {
  free(listeners->list);
}

void listeners_release(engine *e) {
  if (e->listeners.reserve_fd >= 0) close(e->listeners.reserve_fd);
  e->listeners.reserve_fd = -1;
}

/* 0, or the errno. */
static int watch(engine *e, struct listener *listener) {
  bool watched = !e->listeners.held_back && !listener->paused;
  e->listeners.shared = e->listeners.shared || watched;
  return door_watch(listener->door, watched);
}

static int make_room(struct listeners *listeners) {
  if (listeners->count < listeners->capacity) return 0;
  if (listeners->capacity >= MAX_LISTENERS) return ENOSPC;
  uint32_t capacity = listeners->capacity == 0 ? 4 : listeners->capacity * 2;
  struct listener *list = realloc(listeners->list, capacity * sizeof *list);
  if (list == NULL) return ENOMEM;
  listeners->list = list;
  listeners->capacity = capacity;
  return 0;
}

int listener_add(engine *e, int fd, int32_t id, uint32_t preread_bytes, uint64_t preread_timeout) {
  struct listeners *listeners = &e->listeners;
  int error = make_room(listeners);
  if (error != 0) return error;
  if (listeners->reserve_fd < 0) listeners->reserve_fd = open_reserve();
  if (listeners->reserve_fd < 0) return errno;
  int copy = duplicate(fd);
  if (copy < 0) return errno;
  /* Inherited by every socket that is accepted from it. */
  set_no_delay(copy);
  set_urgent_inline(copy);
  if (listen(copy, BACKLOG) != 0) {
    error = errno;
    close(copy);
    return error;
  }
  struct listener listener = {.fd = copy, .id = id};
  listener.door = door_open(e, copy, listeners->count);
  if (listener.door == NULL) return errno;
  error = watch(e, &listener);
  if (error == 0 && preread_bytes > 0) {
    listener.prereads = prereads_open(&e->prereads, id, preread_bytes, preread_timeout);
    if (listener.prereads == NULL) error = ENOMEM;
  }
  if (error != 0) {
    door_close(listener.door);
    return error;
  }
  listeners->list[listeners->count++] = listener;
  return 0;
}

static void hold_back(engine *e, bool held_back) {
  struct listeners *listeners = &e->listeners;
  if (listeners->held_back == held_back) return;
  listeners->held_back = held_back;
  for (uint32_t i = 0; i < listeners->count; i++) {
    listeners->list[i].waited = 0;
    (void)watch(e, &listeners->list[i]);
  }
}

/* Clients whose preread is awaited hold no slot yet, and may be of the kind that says nothing. */
static uint32_t known(const engine *e) {
  return e->table.size - e->prereads.untold;
}

static bool is_ahead(const engine *e) {
  /* What one cannot hold another can perhaps; when all are full, clients are refused after a moment. */
  return e->accept_limit != 0 && (known(e) >= e->accept_limit || e->table.size >= e->max_connections);
}

void listeners_reconsider(engine *e) {
  /* Not with the first one that leaves: each change is a system call for every listener. */
  bool room = known(e) + e->accept_limit / 16 < e->accept_limit && e->table.size < e->max_connections;
  if (e->accept_limit == 0 || room) hold_back(e, false);
}

void listeners_stop(engine *e) {
  for (uint32_t i = 0; i < e->listeners.count; i++) {
    struct listener *listener = &e->listeners.list[i];
    door_close(listener->door);
    if (listener->prereads != NULL) preread_queue_close(e, listener->prereads);
  }
  e->listeners.count = 0;
  e->listeners.paused = 0;
  hold_back(e, false);
}

static void pause_accepting(engine *e, struct listener *listener) {
  listener->paused = true;
  e->listeners.paused++;
  (void)watch(e, listener);
}

void listeners_resume(engine *e) {
  struct listeners *listeners = &e->listeners;
  if (listeners->reserve_fd < 0) listeners->reserve_fd = open_reserve();
  for (uint32_t i = 0; i < listeners->count; i++) {
    struct listener *listener = &listeners->list[i];
    if (!listener->paused) continue;
    listener->paused = false;
    listeners->paused--;
    (void)watch(e, listener);
  }
}

static int next_client(const struct listener *listener, struct sockaddr_storage *peer) {
  socklen_t length = sizeof *peer;
  return accept4(listener->fd, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A client becomes a connection. false: out of memory, or all numbers are used. */
static bool admit(engine *e, const struct listener *listener, int fd, const struct sockaddr_storage *peer) {
  connection *c = table_take(&e->table);
  if (c == NULL) return false;
  c->state = STATE_WAITING;
  c->accepted_at = e->now;
  c->sides[CLIENT].fd = fd;
  c->sides[BACKEND].fd = -1;
  /* Inherited from the listening socket. */
  c->sides[CLIENT].no_delay = true;
  struct preread_queue *prereads = listener->prereads;
  if (prereads != NULL && !prereads_add(&e->prereads, prereads, c, peer)) {
    table_give_back(&e->table, c);
    return false;
  }
  if (prereads == NULL)
    tell_accepted(&e->batch, c->number, listener->id, peer, false);
  else
    preread_await(e, c);
  return true;
}

static void refuse(engine *e, const struct listener *listener, int fd, const struct sockaddr_storage *peer) {
  close_with_end(fd, &e->buffers);
  tell_refused(&e->batch, listener->id, peer);
}

/* What one client's failed accept means for the next one. */
enum after_failure { NONE_WAITS, TRY_NEXT, OUT_OF_DESCRIPTORS, OUT_OF_RESOURCES };

static enum after_failure after(int error) {
  switch (error) {
    case EAGAIN:
      return NONE_WAITS;
    /* Told also when nobody waits: the kernel looks for a descriptor first. */
    case EMFILE:
    case ENFILE:
      return OUT_OF_DESCRIPTORS;
    /* accept(2): what befell the client in the queue is told here, and is no reason to stop. */
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return TRY_NEXT;
    default:
      return OUT_OF_RESOURCES;
  }
}

/* There is no descriptor for the next client, if there is one: gives it the reserved one for a moment. */
static enum after_failure refuse_with_reserve(engine *e, const struct listener *listener) {
  struct listeners *listeners = &e->listeners;
  if (listeners->reserve_fd < 0) return OUT_OF_RESOURCES;
  close(listeners->reserve_fd);
  struct sockaddr_storage peer;
  int fd = next_client(listener, &peer);
  enum after_failure then = fd >= 0 ? TRY_NEXT : after(errno);
  if (fd >= 0) refuse(e, listener, fd, &peer);
  listeners->reserve_fd = open_reserve();
  /* Another thread, or with ENFILE another process, was quicker. */
  return listeners->reserve_fd < 0 || then == OUT_OF_DESCRIPTORS ? OUT_OF_RESOURCES : then;
}

static bool has_clients(const struct listener *listener) {
  struct pollfd look = {.fd = listener->fd, .events = POLLIN};
  return poll(&look, 1, 0) > 0;
}

static void accept_batch(engine *e, struct listener *listener, int batch, bool patient) {
  for (int i = 0; i < batch && e->batch.count < RECORDS_A_TURN; i++) {
    /* An accept that finds nobody has made a socket and a file for nothing: to ask first is much cheaper. */
    if (i > 0 && !has_clients(listener)) return;
    if (patient && is_ahead(e)) {
      hold_back(e, true);
      return;
    }
    struct sockaddr_storage peer;
    int fd = next_client(listener, &peer);
    if (fd >= 0) {
      /* A client whose descriptor is still to be closed counts on. */
      bool full = e->table.size + e->batch.parting_count >= e->max_connections;
      if (full || !admit(e, listener, fd, &peer))
        refuse(e, listener, fd, &peer);
      continue;
    }
    enum after_failure then = after(errno);
    if (then == OUT_OF_DESCRIPTORS) then = refuse_with_reserve(e, listener);
    if (then == NONE_WAITS) return;
    if (then == TRY_NEXT) continue;
    pause_accepting(e, listener);
    return;
  }
}

/* Connections with which the next client is as well off here as anywhere: whoever is woken for every lone one stays warm. */
#define FEW 2

void listener_accept(engine *e, uint32_t index) {
  struct listener *listener = &e->listeners.list[index];
  uint32_t before = e->table.size;
  accept_batch(e, listener, ACCEPT_BATCH, true);
  if (e->table.size > before && known(e) > FEW) door_step_back(listener->door);
}

void listeners_make_exclusive(engine *e) {
  bool shared = false;
  for (uint32_t i = 0; i < e->listeners.count; i++)
    shared = !door_make_exclusive(e->listeners.list[i].door) || shared;
  e->listeners.shared = shared;
}

void listeners_look(engine *e) {
  for (uint32_t i = 0; i < e->listeners.count; i++) {
    struct listener *listener = &e->listeners.list[i];
    if (listener->paused || !has_clients(listener)) {
      listener->waited = 0;
      continue;
    }
    /* Few at first: there are clients in a busy queue at any time, and others take them. */
    if (listener->waited > 0) accept_batch(e, listener, FIRST_IMPATIENT_BATCH << (listener->waited - 1), false);
    if (listener->waited < MAX_WAITED) listener->waited++;
  }
}

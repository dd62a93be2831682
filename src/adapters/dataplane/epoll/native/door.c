#include "door.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"

struct door {
  uv_poll_t poll;
  engine *engine;
  uint32_t index;
  int fd;
  bool watched;
  /* libuv watches it, and others are woken with us. */
  bool shared;
};

static void on_clients(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  struct door *door = handle->data;
  door->engine->on_clients(door->engine, door->index);
}

static void on_closed(uv_handle_t *handle) {
  struct door *door = handle->data;
  engine *e = door->engine;
  free(door);
  engine_let_go(e);
}

struct door *door_open(engine *e, int fd, uint32_t index) {
  struct door *door = calloc(1, sizeof *door);
  int error = door == NULL ? ENOMEM : -uv_poll_init(e->check.loop, &door->poll, fd);
  if (error != 0) {
    free(door);
    close(fd);
    errno = error;
    return NULL;
  }
  door->poll.data = door;
  door->engine = e;
  door->index = index;
  door->fd = fd;
  e->open_handles++;
  /* What keeps the loop alive is the engine's own epoll instance. */
  uv_unref((uv_handle_t *)&door->poll);
  return door;
}

int door_fd(const struct door *door) {
  return door->fd;
}

int door_watch(struct door *door, bool watched) {
  door->watched = door->shared = watched;
  return -(watched ? uv_poll_start(&door->poll, UV_READABLE, on_clients) : uv_poll_stop(&door->poll));
}

/* Begins to watch it anew, as the last of those who wait. false: libuv has not begun yet. */
static bool watch_anew(struct door *door) {
  int epoll = uv_backend_fd(door->poll.loop);
  /* In libuv's own form, so that it finds its handle by the event. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = door->fd};
  if (epoll_ctl(epoll, EPOLL_CTL_DEL, door->fd, NULL) != 0) return false;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, door->fd, &event) == 0) return true;
  /* A kernel before Linux 4.5 has no such thing: as it was. */
  event.events = EPOLLIN;
  (void)epoll_ctl(epoll, EPOLL_CTL_ADD, door->fd, &event);
  return true;
}

bool door_make_exclusive(struct door *door) {
  if (door->shared && !watch_anew(door)) return false;
  door->shared = false;
  return true;
}

void door_step_back(struct door *door) {
  if (door->watched && !door->shared) (void)watch_anew(door);
}

void door_close(struct door *door) {
  uv_close((uv_handle_t *)&door->poll, on_closed);
  close(door->fd);
}

#include "relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "ending.h"
#include "side.h"
#include "sockets.h"

/* Bytes that a connection moves before others have their turn: one read at its largest. */
#define SLICE_BYTES SCRATCH_BYTES

/* A direction that brought so many bytes by its last read is bulk, and waits for its turn when there is other work. */
#define BULK_BYTES (32 * 1024)

/* Bytes that are moved as their events come, in one turn of the loop: beyond, what is bulk waits. */
#define BYTES_PER_TURN SCRATCH_BYTES

/* Of a connection's first read, and again after its reader was slow: what is read in vain is held for it. Doubled with
 * every read that is full and passed on whole. */
#define FIRST_READ_BYTES (64 * 1024)

/*
 * A first write of so many bytes fits one segment, which the kernel sends at once whatever the option is. Connections
 * that exchange one request need no TCP_NODELAY, then.
 */
#define ONE_SEGMENT_BYTES 512

/* What a step leaves of its connection. */
enum outcome {
  /* nothing more to do for this direction now */
  WAITS,
  /* go on */
  MOVES,
  /* the connection is over: its memory is another's perhaps */
  OVER,
};

/* A side failed, by `error`; 0: of which the kernel is asked. What it had finished still goes to the other one. */
static enum outcome failed(engine *e, connection *c, int side, int error) {
  struct side *source = &c->sides[side];
  struct side *target = &c->sides[!side];
  side_failed(source, error);
  if (target->failed || !source->finished) {
    connection_failed(e, c, target->failed ? !side : side);
    return OVER;
  }
  if (target->waiting != NULL) buffers_release(&e->buffers, target->waiting);
  target->waiting = NULL;
  /* An edge has told of what is left, or will. */
  return WAITS;
}

/* Bytes that the kernel took, 0 to `length`; -1: the peer is gone. When the end is to follow at once, the last segment
 * waits for it: one packet less. */
static ssize_t send_some(struct side *to, const char *data, uint32_t length, bool end_follows) {
  if (!to->no_delay && !end_follows && (to->written || length > ONE_SEGMENT_BYTES)) {
    set_no_delay(to->fd);
    to->no_delay = true;
  }
  ssize_t n;
  do n = send(to->fd, data, length, MSG_NOSIGNAL | (end_follows ? MSG_MORE : 0));
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
  to->written = true;
  to->unsettled = true;
  return n;
}

/* Bytes were handed to the other side's socket; those of ours come first. */
static void count(connection *c, int from, uint32_t bytes) {
  uint32_t ours = 0;
  if (from == CLIENT) ours = bytes < c->prefix_left ? bytes : c->prefix_left;
  c->prefix_left -= ours;
  c->sides[from].bytes += bytes - ours;
}

/* Sends what waits. */
static enum outcome flush(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  struct chunk *waiting = source->waiting;
  ssize_t n = send_some(&c->sides[!from], waiting->data + waiting->offset, waiting->length, false);
  if (n < 0) return failed(e, c, !from, errno);
  if (n > 0) c->active_at = e->now;
  count(c, from, (uint32_t)n);
  waiting->offset += (uint32_t)n;
  waiting->length -= (uint32_t)n;
  if (waiting->length > 0) return WAITS;
  buffers_release(&e->buffers, waiting);
  source->waiting = NULL;
  return MOVES;
}

/* Sends `length` bytes of the scratch buffer; keeps what the kernel does not take until it does. */
static enum outcome pass_on(engine *e, connection *c, int from, uint32_t length, bool last) {
  struct side *source = &c->sides[from];
  ssize_t n = send_some(&c->sides[!from], e->buffers.scratch->data, length, last);
  if (n < 0) return failed(e, c, !from, errno);
  c->active_at = e->now;
  source->bytes += (uint64_t)n;
  if ((uint32_t)n == length) return MOVES;
  /* Nobody would read the rest to the end to find out that it has none. */
  if (source->failed && !source->finished) return failed(e, c, from, 0);
  source->read_size = FIRST_READ_BYTES;
  source->waiting = buffers_keep(&e->buffers, (uint32_t)n, length - (uint32_t)n);
  struct side *target = &c->sides[!from];
  /* Before the relay watches it at all, it is told later. */
  bool told = target->watched == 0 || (target->watched & EPOLLOUT);
  if (source->waiting != NULL && (told || side_watch(e->epoll_fd, c, !from, true))) return WAITS;
  connection_failed(e, c, !from);
  return OVER;
}

/* The peer's end came, and everything before it was passed on. */
static enum outcome end(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  source->finished = source->ended = true;
  source->readable = false;
  c->active_at = e->now;
  if (c->sides[!from].ended) {
    bool unfinished = source->failed || c->sides[!from].failed;
    /* The close sends the other end. */
    connection_finish(e, c, unfinished ? reason_of_failure(source->failed ? from : !from) : REASON_FINISHED);
    return OVER;
  }
  /* Fails only on a socket that was reset, which epoll tells. */
  (void)shutdown(c->sides[!from].fd, SHUT_WR);
  c->sides[!from].unsettled = true;
  return WAITS;
}

/* One read of `most` bytes at most, passed on; adds its bytes to `moved`. */
static enum outcome step(engine *e, connection *c, int from, uint32_t most, uint32_t *moved) {
  struct side *source = &c->sides[from];
  uint32_t wanted = buffers_are_scarce(&e->buffers) ? FIRST_READ_BYTES : source->read_size;
  if (wanted > most) wanted = most;
  ssize_t n = recv(source->fd, e->buffers.scratch->data, wanted, 0);
  /* After a failure that has been told, the kernel says the end of whatever there was. */
  if (n == 0) return source->failed && !source->finished ? failed(e, c, from, 0) : end(e, c, from);
  if (n < 0) {
    if (errno == EINTR) return MOVES;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(e, c, from, errno);
    source->readable = false;
    return WAITS;
  }
  *moved += (uint32_t)n;
  e->moved += (uint64_t)n;
  source->is_bulk = n >= BULK_BYTES;
  /* epoll(7): a short read has emptied a stream's queue. When the end had come before, there is only that left. */
  bool emptied = n < wanted && !source->urgent;
  bool last = emptied && source->hung_up && !source->failed;
  /* What comes for a side that failed is dropped: its sender would not come to read otherwise. */
  bool dropped = c->sides[!from].failed;
  enum outcome outcome = dropped ? MOVES : pass_on(e, c, from, (uint32_t)n, last);
  if (outcome != MOVES) return outcome;
  if (last) return end(e, c, from);
  if (n == source->read_size && n < SCRATCH_BYTES) source->read_size *= 2;
  if (!emptied || source->hung_up) return MOVES;
  /* What comes later is another edge. */
  source->readable = false;
  return WAITS;
}

/* There is other work, which bulk is not to hold up. */
static bool is_crowded(const engine *e) {
  return e->bulk.first != 0 || e->moved >= BYTES_PER_TURN;
}

/* A direction has more to move when it is its connection's turn. */
static void wait_for_turn(engine *e, connection *c, int from) {
  c->sides[from].is_due = true;
  if (c->is_queued) return;
  c->is_queued = true;
  queue_add(&e->bulk, &e->table, c);
}

/* Moves what there is from one side to the other, up to `most` bytes; what is left then waits for its turn, as no edge
 * will tell of it. */
static enum outcome pump(engine *e, connection *c, int from, uint32_t most) {
  struct side *source = &c->sides[from];
  uint32_t moved = 0;
  while (source->readable && !source->ended) {
    if (moved >= most) {
      wait_for_turn(e, c, from);
      return WAITS;
    }
    enum outcome outcome = step(e, c, from, most - moved, &moved);
    if (outcome != MOVES) return outcome;
  }
  return WAITS;
}

/* The same for an event: at once, unless it is bulk and there is other work. An end is looked for in any case: with nothing
 * before it, somebody may be waiting for it. */
static enum outcome pump_or_wait(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  bool crowded = is_crowded(e);
  if (source->is_due) return WAITS;
  if (!crowded || !source->is_bulk || source->hung_up)
    return pump(e, c, from, crowded ? FIRST_READ_BYTES : SLICE_BYTES);
  wait_for_turn(e, c, from);
  return WAITS;
}

/* Sends what waits, and goes on to read, up to `most` bytes, when that is done. */
static enum outcome resume(engine *e, connection *c, int from, uint32_t most) {
  enum outcome outcome = flush(e, c, from);
  return outcome == MOVES ? pump(e, c, from, most) : outcome;
}

static void take_turn(engine *e, connection *c) {
  queue_remove(&e->bulk, &e->table, c);
  c->is_queued = false;
  /* Both directions in turn. */
  int from = c->sides[c->next_turn].is_due ? c->next_turn : !c->next_turn;
  c->next_turn = !from;
  c->sides[from].is_due = false;
  bool waits = c->sides[from].waiting != NULL;
  enum outcome outcome = waits ? resume(e, c, from, SLICE_BYTES) : pump(e, c, from, SLICE_BYTES);
  if (outcome != OVER && c->sides[!from].is_due) wait_for_turn(e, c, !from);
}

void relay_bulk(engine *e, uint64_t share) {
  uint64_t start = e->now;
  connection *c;
  e->moved = 0;
  while (e->now - start < share && (c = queue_first(&e->bulk, &e->table)) != NULL) {
    take_turn(e, c);
    e->now = uv_hrtime();
  }
}

void relay_start(engine *e, connection *c) {
  /* The client has spoken already, most likely: its first bytes are on their way before anything is watched, and what
   * is watched afterwards makes no event for what was read. One that was watched for its preread has told what there is. */
  struct side *client = &c->sides[CLIENT];
  if (client->watched == 0) client->readable = true;
  client->read_size = c->sides[BACKEND].read_size = FIRST_READ_BYTES;
  if (c->preread != NULL && !prereads_hand_over(&e->prereads, &e->buffers, c)) {
    connection_failed(e, c, CLIENT);
    return;
  }
  if (client->waiting != NULL && flush(e, c, CLIENT) == OVER) return;
  if (client->waiting == NULL && pump_or_wait(e, c, CLIENT) == OVER) return;
  if (c->sides[BACKEND].readable && c->sides[BACKEND].waiting == NULL && pump_or_wait(e, c, BACKEND) == OVER) return;
  for (int i = 0; i < 2; i++) {
    bool blocked = c->sides[!i].waiting != NULL;
    bool enough = c->sides[i].watched != 0 && (!blocked || (c->sides[i].watched & EPOLLOUT));
    if (!enough && !side_watch(e->epoll_fd, c, i, blocked)) {
      connection_failed(e, c, i);
      return;
    }
  }
}

void relay_ready(engine *e, connection *c, int side, uint32_t events) {
  struct side *source = &c->sides[side];
  side_note(source, events);

  /* A side that is not being read would never be found out by a read. */
  bool unread = source->ended || source->waiting != NULL;
  if (source->failed && (source->finished || unread) && failed(e, c, side, 0) == OVER) return;
  struct chunk *waiting = c->sides[!side].waiting;
  if ((events & EPOLLOUT) && waiting != NULL) {
    bool crowded = is_crowded(e);
    if (crowded && waiting->length >= BULK_BYTES)
      wait_for_turn(e, c, !side);
    else if (resume(e, c, !side, crowded ? FIRST_READ_BYTES : SLICE_BYTES) == OVER)
      return;
  }
  if (source->waiting == NULL) (void)pump_or_wait(e, c, side);
}

void relay_check(engine *e, connection *c) {
  for (int i = 0; i < 2; i++) {
    if (!c->sides[i].failed || !c->sides[i].ended) continue;
    if (!is_acknowledged(c->sides[!i].fd)) return;
    if (!c->delivered)
      c->delivered = true;
    else
      connection_failed(e, c, i);
    return;
  }
}

void relay_vanished(engine *e, connection *c, int side) {
  (void)failed(e, c, side, ETIMEDOUT);
}

#include "relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "engine.h"
#include "sockets.h"

/* Bytes from one socket in one turn of the loop, or a read more, so that no connection holds the others up. */
#define BYTES_PER_TURN (1024 * 1024)

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

static enum outcome failed(engine *e, connection *c, int side) {
  connection_failed(e, c, side);
  return OVER;
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
  return n;
}

/* Sends what waits. */
static enum outcome flush(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  struct chunk *waiting = source->waiting;
  ssize_t n = send_some(&c->sides[!from], waiting->data + waiting->offset, waiting->length, false);
  if (n < 0) return failed(e, c, !from);
  if (n > 0) c->active_at = e->now;
  source->bytes += (uint64_t)n;
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
  if (n < 0) return failed(e, c, !from);
  c->active_at = e->now;
  source->bytes += (uint64_t)n;
  if ((uint32_t)n == length) return MOVES;
  /* The peer is gone, so nobody would read the rest to the end to find that out. */
  if (source->failed) return failed(e, c, from);
  source->read_size = FIRST_READ_BYTES;
  source->waiting = buffers_keep(&e->buffers, (uint32_t)n, length - (uint32_t)n);
  if (source->waiting == NULL) return failed(e, c, !from);
  struct side *target = &c->sides[!from];
  /* Before the relay watches it at all, it is told later. */
  if (target->watched != 0 && !(target->watched & EPOLLOUT) && !side_watch(e, c, !from, true))
    return failed(e, c, !from);
  return WAITS;
}

/* The peer's end came, and everything before it was passed on. */
static enum outcome end(engine *e, connection *c, int from) {
  c->sides[from].ended = true;
  c->sides[from].readable = false;
  c->active_at = e->now;
  if (c->sides[!from].ended) {
    /* The close sends the other end. */
    connection_finish(e, c, REASON_FINISHED);
    return OVER;
  }
  /* Fails only on a socket that was reset, which epoll tells. */
  (void)shutdown(c->sides[!from].fd, SHUT_WR);
  return WAITS;
}

/* One read, passed on. */
static enum outcome step(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  uint32_t wanted = buffers_are_scarce(&e->buffers) ? FIRST_READ_BYTES : source->read_size;
  ssize_t n = recv(source->fd, e->buffers.scratch->data, wanted, 0);
  /* An end that came before a reset is read all the same. */
  if (n == 0) return source->failed ? failed(e, c, from) : end(e, c, from);
  if (n < 0) {
    if (errno == EINTR) return MOVES;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(e, c, from);
    source->readable = false;
    return WAITS;
  }
  /* epoll(7): a short read has emptied a stream's queue. When the end had come before, there is only that left. */
  bool emptied = n < wanted && !source->urgent;
  bool last = emptied && source->hung_up && !source->failed;
  enum outcome outcome = pass_on(e, c, from, (uint32_t)n, last);
  if (outcome != MOVES) return outcome;
  if (last) return end(e, c, from);
  if (n == wanted && wanted < SCRATCH_BYTES) source->read_size = wanted * 2;
  if (!emptied || source->hung_up) return MOVES;
  /* What comes later is another edge. */
  source->readable = false;
  return WAITS;
}

/* Moves what there is from one side to the other. */
static enum outcome pump(engine *e, connection *c, int from) {
  struct side *source = &c->sides[from];
  uint64_t enough = source->bytes + BYTES_PER_TURN;
  while (source->bytes < enough) {
    if (!source->readable || source->ended) return WAITS;
    enum outcome outcome = step(e, c, from);
    if (outcome != MOVES) return outcome;
  }
  /* There is more, of which no edge will tell; to ask epoll again makes one. */
  if (source->watched != 0 && !side_watch(e, c, from, false)) return failed(e, c, from);
  return WAITS;
}

void relay_start(engine *e, connection *c) {
  /* The client has spoken already, most likely: its first bytes are on their way before anything is watched, and what
   * is watched afterwards makes no event for what was read. One that was watched for its head has told what there is. */
  struct side *client = &c->sides[CLIENT];
  if (client->watched == 0) client->readable = true;
  client->read_size = c->sides[BACKEND].read_size = FIRST_READ_BYTES;
  if (c->head != NULL) {
    head_hand_over(e, c);
    if (client->waiting != NULL) {
      /* The client is gone: nobody would read the rest to the end to find that out. */
      if (client->failed) {
        connection_failed(e, c, CLIENT);
        return;
      }
      if (flush(e, c, CLIENT) == OVER) return;
    }
  }
  if (client->waiting == NULL && pump(e, c, CLIENT) == OVER) return;
  if (c->sides[BACKEND].readable && pump(e, c, BACKEND) == OVER) return;
  for (int i = 0; i < 2; i++) {
    bool blocked = c->sides[!i].waiting != NULL;
    bool enough = c->sides[i].watched != 0 && (!blocked || (c->sides[i].watched & EPOLLOUT));
    if (!enough && !side_watch(e, c, i, blocked)) {
      connection_failed(e, c, i);
      return;
    }
  }
}

void relay_ready(engine *e, connection *c, int side, uint32_t events) {
  struct side *source = &c->sides[side];
  side_note(source, events);

  /* A side that is not being read would never be found out by a read. */
  if (source->failed && (source->ended || source->waiting != NULL)) {
    connection_failed(e, c, side);
    return;
  }
  if ((events & EPOLLOUT) && c->sides[!side].waiting != NULL) {
    enum outcome outcome = flush(e, c, !side);
    if (outcome == OVER || (outcome == MOVES && pump(e, c, !side) == OVER)) return;
  }
  if (source->waiting == NULL) pump(e, c, side);
}

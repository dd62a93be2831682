#ifndef EDGEPROXY_WIRE_H
#define EDGEPROXY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

/* What became of the bytes, and of the end, that a socket was given. */
struct wire {
  /* Bytes that the peer acknowledged since there is the connection. */
  uint64_t acked;
  /* ms since anything came from the peer. */
  uint32_t silent_ms;
  /* The peer acknowledged everything. */
  bool settled;
  /* The peer owes an answer, which it would give whether anybody reads there or not. */
  bool unanswered;
};

/* One system call. false: the kernel does not tell. */
bool wire_look(int fd, struct wire *wire);

#endif

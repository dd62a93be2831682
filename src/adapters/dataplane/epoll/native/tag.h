#ifndef EDGEPROXY_TAG_H
#define EDGEPROXY_TAG_H

#include <stdint.h>

/* What epoll gives back with an event: a connection's number and side, or a listener's index. */
static inline uint64_t event_tag(uint32_t number, int side) {
  return (uint64_t)number | ((uint64_t)side << 32);
}
#define LISTENER_TAG (1ull << 63)
static inline uint64_t listener_tag(uint32_t index) {
  return LISTENER_TAG | index;
}

#endif

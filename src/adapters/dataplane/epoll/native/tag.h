#ifndef EDGEPROXY_TAG_H
#define EDGEPROXY_TAG_H

#include <stdint.h>

/* What epoll gives back with an event: a connection's number and side. */
static inline uint64_t event_tag(uint32_t number, int side) {
  return (uint64_t)number | ((uint64_t)side << 32);
}

#endif

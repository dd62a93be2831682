#ifndef EDGEPROXY_SIDE_H
#define EDGEPROXY_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

/* Watches a side for what can be read, from now on, and when a write was not taken for that too. Looks again at one
 * that is watched already. false: the kernel refused. */
bool side_watch(int epoll_fd, connection *c, int side, bool also_writable);
/* Keeps what an edge told, until it is read. */
void side_note(struct side *side, uint32_t events);
/* The peer failed, of which `error` tells; by 0 the kernel is asked. */
void side_failed(struct side *side, int error);

#endif

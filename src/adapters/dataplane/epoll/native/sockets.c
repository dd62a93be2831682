#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "buffers.h"

#define KEEPALIVE_IDLE_SECONDS 60
#define KEEPALIVE_INTERVAL_SECONDS 1
#define KEEPALIVE_PROBES 10

/* Read of what a client sent to nobody, before its socket is closed; about. */
#define DISCARDED_BYTES (2 * 1024 * 1024)

/* Options cannot fail on a socket that is connected; on one that was reset they do not matter any more. */
static void set_option(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

void set_no_delay(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void set_keepalive(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void set_acknowledge_with_data(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

enum news look_at(int fd) {
  struct pollfd look = {.fd = fd, .events = POLLIN};
  if (poll(&look, 1, 0) <= 0) return NOTHING_NEW;
  return look.revents & (POLLERR | POLLHUP) ? GONE : SPOKE_OR_ENDED;
}

void set_urgent_inline(int fd) {
  set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

bool is_acknowledged(int fd) {
  int count = 0;
  return ioctl(fd, SIOCOUTQ, &count) != 0 || count == 0;
}

int duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return -1;
  int flags = fcntl(copy, F_GETFL);
  if (flags >= 0 && fcntl(copy, F_SETFL, flags | O_NONBLOCK) == 0) return copy;
  close(copy);
  return -1;
}

int take_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void close_with_reset(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close(fd);
}

void close_with_end(int fd, struct buffers *buffers) {
  (void)shutdown(fd, SHUT_WR);
  /* The kernel resets a connection that is closed with bytes in its queue. */
  struct chunk *scratch = buffers->scratch;
  for (uint32_t discarded = 0; discarded < DISCARDED_BYTES;) {
    /* To the end: a read makes room, and a client that is still sending fills it at once. */
    ssize_t n = recv(fd, scratch->data, scratch->capacity, MSG_DONTWAIT);
    if (n <= 0) break;
    discarded += (uint32_t)n;
  }
  close(fd);
}

/* `fe80::1%eth0` */
static bool parse_ipv6(const char *host, struct sockaddr_in6 *out) {
  char literal[INET6_ADDRSTRLEN];
  const char *zone = strchr(host, '%');
  size_t length = zone == NULL ? strlen(host) : (size_t)(zone - host);
  if (length >= sizeof literal) return false;
  memcpy(literal, host, length);
  literal[length] = '\0';
  if (inet_pton(AF_INET6, literal, &out->sin6_addr) != 1) return false;
  if (zone == NULL) return true;
  out->sin6_scope_id = if_nametoindex(zone + 1);
  return out->sin6_scope_id != 0;
}

socklen_t parse_endpoint(const char *host, uint16_t port, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  struct sockaddr_in *v4 = (struct sockaddr_in *)out;
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof *v4;
  }
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
  if (!parse_ipv6(host, v6)) return 0;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  return sizeof *v6;
}

bool is_connected(int fd) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  return getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

struct port_range ephemeral_ports(void) {
  /* Where it cannot be read, any port may be one of them. */
  unsigned first = 0, last = UINT16_MAX;
  FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  if (file != NULL) {
    if (fscanf(file, "%u %u", &first, &last) != 2) first = 0, last = UINT16_MAX;
    fclose(file);
  }
  return (struct port_range){.first = (uint16_t)first, .last = (uint16_t)last};
}

/* In network byte order; it is at the same place for both families. */
static in_port_t port_of(const struct sockaddr_storage *address) {
  return ((const struct sockaddr_in *)address)->sin_port;
}

in_port_t port_within(const struct sockaddr_storage *address, struct port_range range) {
  uint16_t port = ntohs(port_of(address));
  return port >= range.first && port <= range.last ? port_of(address) : 0;
}

bool is_own_peer(int fd, in_port_t peer_port) {
  struct sockaddr_storage own, peer;
  socklen_t own_length = sizeof own, peer_length = sizeof peer;
  if (getsockname(fd, (struct sockaddr *)&own, &own_length) != 0 || port_of(&own) != peer_port) return false;
  if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) != 0) return false;
  if (own.ss_family == AF_INET)
    return ((struct sockaddr_in *)&own)->sin_addr.s_addr == ((struct sockaddr_in *)&peer)->sin_addr.s_addr;
  return IN6_ARE_ADDR_EQUAL(&((struct sockaddr_in6 *)&own)->sin6_addr, &((struct sockaddr_in6 *)&peer)->sin6_addr);
}

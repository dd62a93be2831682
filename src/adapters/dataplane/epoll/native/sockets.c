#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "buffers.h"

#define KEEPALIVE_IDLE_SECONDS 60
#define KEEPALIVE_INTERVAL_SECONDS 1
#define KEEPALIVE_PROBES 10

/* Reads of what a client sent to nobody, before its socket is closed. */
#define DISCARDED_READS 4

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

bool has_bytes(int fd) {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) == 0 && count > 0;
}

bool is_acknowledged(int fd) {
  int count = 0;
  return ioctl(fd, SIOCOUTQ, &count) != 0 || count == 0;
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
  for (int i = 0; i < DISCARDED_READS; i++) {
    ssize_t n = recv(fd, scratch->data, scratch->capacity, MSG_DONTWAIT);
    if (n < (ssize_t)scratch->capacity) break;
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

#ifndef EDGEPROXY_SOCKETS_H
#define EDGEPROXY_SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct buffers;

/* Sends small segments at once instead of waiting for the peer's acknowledgements. */
void set_no_delay(int fd);
/* The kernel asks after 60 seconds of silence whether the peer is there, and ten seconds later it is gone. */
void set_keepalive(int fd);
/* For a dial after which bytes are sent at once: they carry the acknowledgement that ends the handshake, which is
 * otherwise a packet of its own (tcp(7), TCP_QUICKACK). */
void set_acknowledge_with_data(int fd);

/* What a socket that is not watched has to tell. */
enum news { NOTHING_NEW, SPOKE_OR_ENDED, GONE };
enum news look_at(int fd);
/* The peer has acknowledged everything that was sent to it, its end as well. */
bool is_acknowledged(int fd);
/* A descriptor of its own for a socket that is another's as well; it does not block. -1: there is none. */
int duplicate(int fd);
/* What befell the socket, as an errno, or 0; the kernel tells it once. */
int take_error(int fd);

/* RST to the peer, when it has not had both ends. */
void close_with_reset(int fd);
/* FIN to the peer, also when it has sent something that nobody read. Uses the scratch buffer. */
void close_with_end(int fd, struct buffers *buffers);

/* Reads an IP literal. 0: it is none. */
socklen_t parse_endpoint(const char *host, uint16_t port, struct sockaddr_storage *out);

/* A connect that was under way has succeeded. */
bool is_connected(int fd);

/* Ports from which the kernel takes those of sockets that connect: ip_local_port_range. */
struct port_range {
  uint16_t first;
  uint16_t last;
};
struct port_range ephemeral_ports(void);
/* The address' port, in network byte order, if it is one of them; else 0. */
in_port_t port_within(const struct sockaddr_storage *address, struct port_range range);
/* A socket that is connected has both ends: with nobody listening on a port of the ephemeral range, a dial on the same
 * host may get that port for its own, and TCP connects it with itself. */
bool is_own_peer(int fd, in_port_t peer_port);

/* Urgent bytes, which the kernel would leave out, are read in their place. Inherited by accepted sockets. */
void set_urgent_inline(int fd);

#endif

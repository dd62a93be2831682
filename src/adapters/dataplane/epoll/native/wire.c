#include "wire.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* TCP_INFO of netinet/tcp.h, whose structure ends before what is needed here. */
#define OPTION_TCP_INFO 11

/* `struct tcp_info` of linux/tcp.h up to Linux 5.4, which headers of older systems lack. */
struct tcp_report {
  uint8_t state, ca_state, retransmits, probes, backoff, options, window_scales, flags;
  uint32_t before_unacked[4];
  uint32_t unacked;
  uint32_t before_last_data_recv[6];
  uint32_t last_data_recv;
  uint32_t last_ack_recv;
  uint32_t before_pacing_rates[11];
  uint64_t pacing_rates[2];
  uint64_t bytes_acked;
  uint64_t bytes_received;
  uint32_t segments[2];
  uint32_t notsent_bytes;
  uint32_t before_snd_wnd[20];
  uint32_t snd_wnd;
};
_Static_assert(offsetof(struct tcp_report, unacked) == 24, "tcpi_unacked");
_Static_assert(offsetof(struct tcp_report, last_data_recv) == 52, "tcpi_last_data_recv");
_Static_assert(offsetof(struct tcp_report, bytes_acked) == 120, "tcpi_bytes_acked");
_Static_assert(offsetof(struct tcp_report, notsent_bytes) == 144, "tcpi_notsent_bytes");
_Static_assert(offsetof(struct tcp_report, snd_wnd) == 228, "tcpi_snd_wnd");

/* A probe, or its answer, may be lost; three in a row are not. */
#define UNANSWERED_PROBES 3

bool wire_look(int fd, struct wire *wire) {
  struct tcp_report report;
  socklen_t length = sizeof report;
  memset(&report, 0, sizeof report);
  if (getsockopt(fd, IPPROTO_TCP, OPTION_TCP_INFO, &report, &length) != 0) return false;
  wire->acked = report.bytes_acked;
  wire->silent_ms = report.last_data_recv < report.last_ack_recv ? report.last_data_recv : report.last_ack_recv;
  wire->settled = report.unacked == 0 && report.notsent_bytes == 0;
  /* A peer that closed its window is asked by probes, minutes apart in the end, and by what was sent before it did; what
   * it lets in it has to acknowledge. (Before Linux 5.4 the window is told as 0.) */
  wire->unanswered = (report.unacked > 0 && report.snd_wnd > 0) || report.probes >= UNANSWERED_PROBES;
  return true;
}

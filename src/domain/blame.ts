import type { RefusalReason } from './entities.ts';

/** Whose fault a failed dial is, and what follows from it. Errno names are those of Linux: connect(2), socket(2). */

/** What this host lacks, so that no backend is to blame. */
export type Lack = 'descriptors' | 'ports' | 'memory' | 'route';

interface LackFacts {
  /** Why its clients are turned away in the end. */
  readonly reason: 'local_resources' | 'no_route';
  /** It may be over in some ms: the same backend is dialled again. */
  readonly passes: boolean;
  /** It is about this one backend: another one may be reached. */
  readonly elsewhere: boolean;
  /** For the operator. */
  readonly advice: string;
}

export const LACKS: Readonly<Record<Lack, LackFacts>> = {
  descriptors: {
    reason: 'local_resources',
    passes: true,
    elsewhere: false,
    advice: 'no file descriptor is left: EMFILE is ulimit -n (systemd: LimitNOFILE=), ENFILE is sysctl fs.file-max',
  },
  ports: {
    reason: 'local_resources',
    passes: true,
    elsewhere: true,
    advice:
      'no local port is left for connections to this backend: widen sysctl net.ipv4.ip_local_port_range, or give the backend a second address',
  },
  memory: {
    reason: 'local_resources',
    passes: true,
    elsewhere: false,
    advice: 'the kernel has no memory for sockets: see sysctl net.ipv4.tcp_mem, and the memory limit of the service',
  },
  route: {
    reason: 'no_route',
    passes: false,
    elsewhere: true,
    advice:
      'this host does not let us reach the backend: see ip route get <its address>, the state of its interface, and, for EPERM and EACCES, the firewall rules for what goes out',
  },
};

/** Clients that are turned away without a dial, and not for want of an enabled backend: what the operator does about it. */
export const TURNED_AWAY: Readonly<Partial<Record<RefusalReason, string>>> = {
  all_full: 'every enabled backend is at its hard_limit: raise it, or add backends',
  descriptor_limit:
    'a worker takes as many connections as its descriptors allow: raise ulimit -n (systemd: LimitNOFILE=), or start more workers',
  too_many_picks:
    'more clients come at once than the primary can place: see whether this host is short of CPU, and edgeproxy_primary_* in /metrics',
  pick_timeout:
    'the primary did not answer in EDGEPROXY_HEARTBEAT_TIMEOUT_SECS: see whether this host is short of CPU, swaps or stalls',
  primary_silent: 'the primary was not heard from: see whether this host is short of CPU, swaps or stalls',
};

const ALWAYS_OURS: Readonly<Record<string, Lack>> = {
  EMFILE: 'descriptors',
  ENFILE: 'descriptors',
  EADDRNOTAVAIL: 'ports',
  EADDRINUSE: 'ports',
  EAGAIN: 'ports',
  ENOBUFS: 'memory',
  ENOMEM: 'memory',
  ENETDOWN: 'route',
  EACCES: 'route',
  EPERM: 'route',
  EAFNOSUPPORT: 'route',
};

/** Ours when our own kernel says so at once; otherwise a router on the way, or the silence of the backend's own link, did. */
const OURS_WHEN_HERE: Readonly<Record<string, Lack>> = { ENETUNREACH: 'route', EHOSTUNREACH: 'route' };

/** What of ours made the dial fail; `null`: the backend did. `here`: the kernel refused to dial, and nothing was sent. */
export function lackOf(code: string, here: boolean): Lack | null {
  return ALWAYS_OURS[code] ?? (here ? (OURS_WHEN_HERE[code] ?? null) : null);
}

/** Every code that `lackOf` may find us to blame for. */
export const OUR_CODES: readonly string[] = [...Object.keys(ALWAYS_OURS), ...Object.keys(OURS_WHEN_HERE)];

/** Before the same backend is dialled again after `failures` of ours, >= 1. In ms. */
export function pauseBeforeRedial(failures: number): number {
  return Math.min(10 * 4 ** (failures - 1), 250);
}

/** A dial that came to nothing. */
export interface FailedDial {
  readonly backend: string;
  /** The errno's name. */
  readonly code: string;
  /** From the dial to its failure, in ms. */
  readonly ms: number;
  /** This host lacked something: the backend is not to blame. */
  readonly ours: boolean;
}

/** Whether the backend itself failed, and not something of ours on the way to it. */
export function isToBlame(backendId: string, tried: readonly FailedDial[]): boolean {
  return tried.some(({ backend, ours }) => backend === backendId && !ours);
}

/** Why a client is turned away after these dials, at least one. */
export function refusalAfter(tried: readonly FailedDial[]): RefusalReason {
  const last = tried.at(-1);
  const lack = last === undefined || tried.some(({ ours }) => !ours) ? null : lackOf(last.code, true);
  return lack === null ? 'connect_failed' : LACKS[lack].reason;
}

// Runs in: primary
import type { NetworkInterfaceInfo } from 'node:os';
import type { IsOwnEndpoint } from '../../../domain/backend-row.ts';
import { isIPv6Only, type ListenAddress } from '../../../domain/listen-addresses.ts';
import { parseAddress } from '../../../ip-address.ts';

/** An address that leads back to us. `host` is normalised, or `127.0.0.0/8`, which stands for all of that network. */
export interface OwnEndpoint {
  readonly host: string;
  readonly port: number;
}

/** What `os.networkInterfaces()` gives. */
export type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address'>[] | undefined>>;

const LOOPBACK_NET = '127.0.0.0/8';

/**
 * Every address at which `listeners` (and the admin server, given as one of them) can be reached: a backend there would
 * make the proxy dial itself without end. `0.0.0.0` is reached by every IPv4 address of the host and all of 127.0.0.0/8;
 * `::` by every IPv6 address, and by IPv4 as well unless another one serves that.
 */
export function ownEndpoints(listeners: readonly ListenAddress[], interfaces: Interfaces): readonly OwnEndpoint[] {
  const addresses = Object.values(interfaces)
    .flatMap((entries) => entries ?? [])
    .flatMap((entry) => parseAddress(entry.address)?.text ?? []);
  const ipv4 = [LOOPBACK_NET, ...addresses.filter((text) => !text.includes(':'))];
  const ipv6 = ['::1', ...addresses.filter((text) => text.includes(':'))];
  return listeners.flatMap(({ host, port }) => {
    const own = parseAddress(host)?.text;
    if (own === undefined) return [];
    const every = isIPv6Only({ host: own, port }, listeners) ? ipv6 : [...ipv4, ...ipv6];
    const hosts = own === '0.0.0.0' ? ipv4 : own === '::' ? every : [own];
    return [...new Set(hosts)].map((text) => ({ host: text, port }));
  });
}

/** The test that rows are put to, over a list of `ownEndpoints`. */
export function ownEndpointTest(endpoints: readonly OwnEndpoint[]): IsOwnEndpoint {
  const hostsOf = new Map<number, Set<string>>();
  for (const { host, port } of endpoints) {
    const hosts = hostsOf.get(port);
    if (hosts === undefined) hostsOf.set(port, new Set([host]));
    else hosts.add(host);
  }
  return (host, port) => {
    const hosts = hostsOf.get(port);
    return hosts !== undefined && (hosts.has(host) || (hosts.has(LOOPBACK_NET) && host.startsWith('127.')));
  };
}

/** Where something listens. `host` is an IP literal in its normal form. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const isIPv6 = ({ host }: ListenAddress): boolean => host.includes(':');

/**
 * Whether `address` is for IPv6 clients only (IPV6_V6ONLY), beside these `listeners`. `[::]` by itself serves both
 * families; where a listener asks for IPv4 at the same port, that is who serves it.
 */
export function isIPv6Only(address: ListenAddress, listeners: readonly ListenAddress[]): boolean {
  const serves = (other: ListenAddress) => !isIPv6(other) && other.port === address.port;
  return isIPv6(address) && address.port !== 0 && listeners.some(serves);
}

/**
 * Whether no two sockets can listen at both, since a client could mean either: Linux lets both bind (SO_REUSEADDR) and
 * refuses the second one that listens. Port 0 is a different one each time.
 */
export function overlap(a: ListenAddress, b: ListenAddress, listeners: readonly ListenAddress[]): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return covers(a, b, listeners) || covers(b, a, listeners);
}

function covers(wide: ListenAddress, narrow: ListenAddress, listeners: readonly ListenAddress[]): boolean {
  if (wide.host === narrow.host) return true;
  if (wide.host === '0.0.0.0') return !isIPv6(narrow);
  return wide.host === '::' && (isIPv6(narrow) || !isIPv6Only(wide, listeners));
}

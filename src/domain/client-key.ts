import type { ClientAddress } from './client-address.ts';
import type { ClientKey } from './entities.ts';
import { hashPair, hashText } from './hash.ts';

/**
 * The key that a client sticks by. IPv6 clients change the lower half of their address at will (RFC 8981), so the /64
 * prefix, which their network was delegated, stands for them.
 */
export function clientKey(app: string, address: ClientAddress): ClientKey {
  const { family, w0, w1 } = address;
  return { app, family, high: w0, low: w1 };
}

/** A stable hash of the key, equal on every host. Unsigned 32 bits. */
export function hashClientKey(key: ClientKey): number {
  return hashPair(hashPair(hashPair(hashText(key.app), key.family), key.high), key.low);
}

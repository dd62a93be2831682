import type { ClientAddress, ClientKey } from './entities.ts';
import { hashPair, hashText } from './hash.ts';

/**
 * The key that a client sticks by. IPv6 clients change the lower half of their address at will (RFC 8981), so the /64
 * prefix, which their network was delegated, stands for them.
 */
export function clientKey(app: string, address: ClientAddress): ClientKey {
  const { bytes } = address;
  const high = word(bytes, 0);
  return bytes.length === 4 ? { app, family: 4, high, low: 0 } : { app, family: 6, high, low: word(bytes, 4) };
}

/** A stable hash of the key, equal on every host. Unsigned 32 bits. */
export function hashClientKey(key: ClientKey): number {
  return hashPair(hashPair(hashPair(hashText(key.app), key.family), key.high), key.low);
}

function word(bytes: ArrayLike<number>, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

import type { ClientAddress } from './client-address.ts';
import type { ClientKey } from './entities.ts';
import { hashPair, hashText } from './hash.ts';

/**
 * The key that a client sticks by. IPv6 clients change the lower half of their address at will (RFC 8981), so the /64
 * prefix, which their network was delegated, stands for them.
 */
export function clientKey(app: string, address: ClientAddress): ClientKey {
  return fillClientKey({ app, family: 4, high: 0, low: 0 }, app, address);
}

/** The same, into an object that is there. */
export function fillClientKey<K extends { -readonly [Field in keyof ClientKey]: ClientKey[Field] }>(
  into: K,
  app: string,
  address: ClientAddress,
): K {
  into.app = app;
  into.family = address.family;
  into.high = address.w0;
  into.low = address.w1;
  return into;
}

/** A stable hash of the key, equal on every host. Unsigned 32 bits. */
export function hashClientKey(key: ClientKey): number {
  return hashPair(hashPair(hashPair(hashText(key.app), key.family), key.high), key.low);
}

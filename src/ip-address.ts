import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { ClientAddress } from './domain/client-address.ts';

const ZERO = 0x30;

/**
 * Reads an IP literal, IPv4 (four decimal parts) or IPv6, and normalises it: IPv4-mapped IPv6 becomes IPv4, and IPv6 loses
 * its zone (`%eth0`). `null` for anything else.
 */
export function parseAddress(text: string): ClientAddress | null {
  if (isIPv4(text)) return new ClientAddress(4, ipv4Word(text));
  const literal = text.replace(/%.*$/, '');
  if (!text.includes(':') || !ipaddr.IPv6.isValid(literal)) return null;
  return ClientAddress.of(ipaddr.process(literal).toByteArray());
}

/** Of an IPv4 address in its normal form; for each connection of some engines, so without the garbage of a split. */
function ipv4Word(text: string): number {
  let word = 0;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0) {
      part = part * 10 + digit;
    } else {
      word = word * 256 + part;
      part = 0;
    }
  }
  return word * 256 + part;
}

/** `10.0.0.1:80`, `[::1]:80`. */
export function formatEndpoint(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

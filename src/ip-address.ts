import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { ClientAddress } from './domain/entities.ts';

const ZERO = 0x30;

/**
 * Reads an IP literal, IPv4 (four decimal parts) or IPv6, and normalises it: IPv4-mapped IPv6 becomes IPv4, IPv6 its
 * shortest form without its zone (`%eth0`). `null` for anything else.
 */
export function parseAddress(text: string): ClientAddress | null {
  // Nearly every client: four decimal parts are in their normal form already.
  if (isIPv4(text)) return { text, bytes: bytesOf(text) };
  const literal = text.replace(/%.*$/, '');
  if (!text.includes(':') || !ipaddr.IPv6.isValid(literal)) return null;
  const address = ipaddr.process(literal);
  return { text: address.toString(), bytes: address.toByteArray() };
}

/** Of an IPv4 address in its normal form; for each connection, so without the garbage of a split. */
function bytesOf(text: string): number[] {
  const bytes = [0, 0, 0, 0];
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0) part++;
    else bytes[part] = bytes[part]! * 10 + digit;
  }
  return bytes;
}

/** `10.0.0.1:80`, `[::1]:80`. */
export function formatEndpoint(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

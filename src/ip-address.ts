import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { ClientAddress } from './domain/entities.ts';

/**
 * Reads an IP literal, IPv4 (four decimal parts) or IPv6, and normalises it: IPv4-mapped IPv6 becomes IPv4, IPv6 its
 * shortest form without its zone (`%eth0`). `null` for anything else.
 */
export function parseAddress(text: string): ClientAddress | null {
  // Nearly every client: four decimal parts are in their normal form already.
  if (isIPv4(text)) return { text, bytes: text.split('.').map(Number) };
  const literal = text.replace(/%.*$/, '');
  if (!text.includes(':') || !ipaddr.IPv6.isValid(literal)) return null;
  const address = ipaddr.process(literal);
  return { text: address.toString(), bytes: address.toByteArray() };
}

/** `10.0.0.1:80`, `[::1]:80`. */
export function formatEndpoint(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

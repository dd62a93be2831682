// Runs in: worker
import { isIP } from 'node:net';
import type { Endpoint } from '../../../application/ports/data-plane.ts';

/** `net.connect` would throw at another port, and resolve another host. */
export function isEndpoint({ host, port }: Endpoint): boolean {
  return isIP(host) !== 0 && Number.isInteger(port) && port >= 1 && port <= 65535;
}

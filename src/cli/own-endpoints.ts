// Runs in: cli
import { networkInterfaces } from 'node:os';
import { type OwnEndpoint, ownEndpoints } from '../adapters/outbound/sqlite/own-endpoints.ts';
import type { Config } from '../config.ts';

/** The addresses that a proxy of this configuration, on this host, would have for its own. */
export function ownEndpointsOf(listeners: Config['listeners'], admin: Config['admin']): readonly OwnEndpoint[] {
  return ownEndpoints([...listeners, ...(admin?.kind === 'tcp' ? [admin] : [])], networkInterfaces());
}

import type { ListenerSpec } from '../domain/listener-spec.ts';
import { EdgeError } from '../errors.ts';

/** A TCP socket that listens, and that nobody accepts from in this process, as Node passes it between processes. */
export interface ListeningSocket {
  /** With the port as bound. */
  readonly listener: ListenerSpec;
  readonly handle: ListeningHandle;
}

/**
 * What is used of Node's handle of a bound socket, which is not documented: what `process.on('message')` delivers, and
 * `net._createServerHandle` makes. Methods return 0 or a negative errno.
 */
export interface ListeningHandle {
  /** The descriptor, where the platform has such. */
  readonly fd?: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(callback?: () => void): void;
}

/** @throws EDGE_ERR_PLATFORM where Node does not tell it: on Windows, and should it ever lose the getter. */
export function descriptorOf({ fd }: ListeningHandle): number {
  if (typeof fd === 'number' && fd >= 0) return fd;
  throw new EdgeError('EDGE_ERR_PLATFORM', `Node.js ${process.version} does not tell the descriptor of a handle`);
}

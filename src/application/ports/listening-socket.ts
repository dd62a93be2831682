import type { Listener } from '../../domain/entities.ts';

/** A TCP socket that listens, and that nobody accepts from in this process, as Node passes it between processes. */
export interface ListeningSocket {
  /** With the port as bound. */
  readonly listener: Listener;
  readonly handle: TcpHandle;
}

/** What is used of Node's undocumented handle. Methods return 0 or a negative errno. */
export interface TcpHandle {
  /** The descriptor, where the platform has such. */
  readonly fd?: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

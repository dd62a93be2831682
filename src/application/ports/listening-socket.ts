import type { Listener } from '../../domain/entities.ts';

/** A bound TCP socket that nobody listens on in this process, as Node passes it between processes. */
export interface ListeningSocket {
  /** With the port as bound. */
  readonly listener: Listener;
  readonly handle: TcpHandle;
}

/** What is used of Node's undocumented handle. Methods return 0 or a negative errno. */
export interface TcpHandle {
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

// Runs in: primary, cli
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { ListenAddress } from '../../../domain/listen-addresses.ts';
import { EdgeError } from '../../../errors.ts';
import type { ListeningHandle } from '../../../ipc/listening-socket.ts';

type CreateServerHandle = (
  host: string,
  port: number,
  family: 4 | 6,
  fd: number,
  flags: number,
) => ListeningHandle | number;

/** libuv's flag for IPV6_V6ONLY. */
const UV_TCP_IPV6ONLY = 1;

export interface BoundSocket {
  readonly handle: ListeningHandle;
  /** The actual one. */
  readonly port: number;
}

/**
 * Binds without listening; gives the errno's name when that fails. Whoever listens at an overlapping address makes it
 * fail; another socket that is only bound does not.
 *
 * `net._createServerHandle` is exported but not documented; there is no documented way to bind without listening.
 * @throws EDGE_ERR_PLATFORM when this Node.js has no such function
 */
export function bindAddress({ host, port }: ListenAddress, ipv6Only: boolean): BoundSocket | string {
  const family = host.includes(':') ? 6 : 4;
  const handle = createHandle()(host, port, family, -1, ipv6Only ? UV_TCP_IPV6ONLY : 0);
  if (typeof handle === 'number') return getSystemErrorName(handle);
  // libuv keeps EADDRINUSE to itself until somebody listens.
  const name: { address?: string; port?: number } = {};
  const failed = handle.getsockname(name);
  if (failed === 0) return { handle, port: name.port ?? port };
  handle.close();
  return getSystemErrorName(failed);
}

function createHandle(): CreateServerHandle {
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (typeof create === 'function') return create;
  throw new EdgeError(
    'EDGE_ERR_PLATFORM',
    `Node.js ${process.version} cannot bind a socket without listening; use the Node.js that npm ci installs`,
  );
}

// Runs in: primary
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { ListeningSocket, TcpHandle } from '../../application/ports/listening-socket.ts';
import type { Listener } from '../../domain/entities.ts';
import { EdgeError } from '../../errors.ts';
import { formatEndpoint } from '../../ip-address.ts';

type CreateServerHandle = (host: string, port: number, family: 4 | 6, fd: number, flags: number) => TcpHandle | number;

/**
 * Binds every listener's address, and never listens: the workers do, on copies of these sockets, and the kernel's queue
 * of clients lives for as long as the primary holds the original. So clients wait, and are not refused, while workers
 * die and come back.
 *
 * `net._createServerHandle` is exported but not documented; there is no documented way to bind without listening.
 * @throws EDGE_ERR_PLATFORM when this Node.js has no such function
 * @throws EDGE_ERR_LISTEN when an address cannot be bound; those bound before it are closed
 */
export function bindListeners(listeners: readonly Listener[]): ListeningSocket[] {
  const bound: ListeningSocket[] = [];
  try {
    for (const listener of listeners) bound.push(bindListener(listener));
  } catch (error) {
    for (const { handle } of bound) handle.close();
    throw error;
  }
  return bound;
}

function bindListener(listener: Listener): ListeningSocket {
  const { host, port, app } = listener;
  const handle = createHandle()(host, port, host.includes(':') ? 6 : 4, -1, 0);
  if (typeof handle === 'number') throw bindError(listener, handle);
  // libuv keeps EADDRINUSE to itself until somebody listens, which in a worker would be too late to notice.
  const name: { address?: string; port?: number } = {};
  const failed = handle.getsockname(name);
  if (failed !== 0) {
    handle.close();
    throw bindError(listener, failed);
  }
  const actual = name.port ?? port;
  return { listener: { name: formatEndpoint(host, actual), host, port: actual, app }, handle };
}

function createHandle(): CreateServerHandle {
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (typeof create === 'function') return create;
  throw new EdgeError(
    'EDGE_ERR_PLATFORM',
    `Node.js ${process.version} cannot bind a socket without listening; use the Node.js that npm ci installs`,
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or set EDGEPROXY_LISTEN_ADDR to another address',
  EACCES: 'ports below 1024 need the capability CAP_NET_BIND_SERVICE, or root',
  EADDRNOTAVAIL: 'this machine has no such address',
};

function bindError(listener: Listener, errno: number): EdgeError {
  const code = getSystemErrorName(errno);
  return new EdgeError(
    'EDGE_ERR_LISTEN',
    `cannot bind ${listener.name}: ${code}: ${ADVICE[code] ?? 'see EDGEPROXY_LISTEN_ADDR'}`,
  );
}

// Runs in: worker
import net from 'node:net';

/**
 * What the engine uses of Node beyond its documentation, all of it detected and none of it needed: without it, accepted
 * sockets take the documented way (`data` events, a few more system calls), a connection that fell silent keeps its
 * buffer, and a reset of a side that is not being read shows up later.
 */

/** Node's handle of an accepted connection, as far as it is used here. */
export interface TcpHandle {
  getpeername(out: { address?: string }): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delaySeconds: number): number;
  useUserBuffer(buffer: Uint8Array): void;
  close(): void;
}

type OnConnection = (this: unknown, status: number, client?: TcpHandle) => void;

/** Options of the constructor of a socket that the type declarations lack. */
interface PrivateSocketOptions extends Omit<net.SocketConstructorOpts, 'handle'> {
  handle?: TcpHandle;
  /** Do not start to read. */
  manualStart?: boolean;
  /** An option of every stream, which a socket passes on. */
  writableHighWaterMark?: number;
}

export function makeSocket(options: PrivateSocketOptions): net.Socket {
  return new net.Socket(options as object);
}

export function isTcpHandle(value: unknown): value is TcpHandle {
  const handle = value as Partial<TcpHandle> | null | undefined;
  return (
    typeof handle?.getpeername === 'function' &&
    typeof handle.setNoDelay === 'function' &&
    typeof handle.setKeepAlive === 'function' &&
    typeof handle.useUserBuffer === 'function' &&
    typeof handle.close === 'function'
  );
}

function handleOf(owner: net.Socket | net.Server): unknown {
  return (owner as unknown as { _handle?: unknown })._handle;
}

/**
 * Gives accepted connections to `adopt` as handles, before Node builds a socket that reads into buffers of its own.
 * `server` listens already. A connection that cannot be adopted arrives as the server's `connection` event.
 */
export function adoptConnections(server: net.Server, adopt: (client: TcpHandle) => void): void {
  const listening = handleOf(server) as { onconnection?: unknown } | null;
  if (typeof listening?.onconnection !== 'function') return;
  const original = listening.onconnection as OnConnection;
  listening.onconnection = function (this: unknown, status: number, client?: TcpHandle): void {
    if (status === 0 && isTcpHandle(client)) adopt(client);
    else original.call(this, status, client);
  };
}

/**
 * Sets TCP_NODELAY and keepalive on a listening socket, whose accepted sockets inherit both on Linux. `false`: they have
 * to be set on every accepted socket.
 */
export function presetAccepted(server: net.Server, keepAliveSeconds: number): boolean {
  const listening = handleOf(server) as Partial<TcpHandle> | null;
  if (process.platform !== 'linux') return false;
  return listening?.setNoDelay?.(true) === 0 && listening.setKeepAlive?.(true, keepAliveSeconds) === 0;
}

/** Makes a socket that reads into a buffer of its caller's go on in another one; whether it could. */
export function readInto(socket: net.Socket, buffer: Uint8Array): boolean {
  const handle = handleOf(socket) as Partial<TcpHandle> | null;
  if (socket.destroyed || typeof handle?.useUserBuffer !== 'function') return false;
  handle.useUserBuffer(buffer);
  return true;
}

/** -1: there is none, or Node does not tell. */
export function descriptorOf(socket: net.Socket): number {
  const { fd } = (handleOf(socket) ?? {}) as { fd?: unknown };
  return typeof fd === 'number' ? fd : -1;
}

/**
 * Asks `keep` of every write that fails, before the socket is destroyed for it, with what it has not read. `true`: it stays
 * open, and nothing more is to be written.
 */
export function surviveWrites(socket: net.Socket, keep: (error: Error) => boolean): void {
  type Done = (error?: Error | null) => void;
  const survive = (done: Done): Done => {
    return (error) => done(error instanceof Error && keep(error) ? null : error);
  };
  // What a stream calls to write, and `net.Socket` implements: stream.md, "Implementing a Writable stream".
  const { _write: write, _writev: writev } = socket;
  socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, survive(done));
  if (writev !== undefined) socket._writev = (chunks, done) => writev.call(socket, chunks, survive(done));
}

/**
 * Whether the peer reset the connection, for a socket that is not being read and so gets no event of it. Only told of one
 * that has not been ended from here: after both ends the kernel's answer is the same.
 */
export function isGone(socket: net.Socket): boolean {
  const handle = handleOf(socket) as Partial<TcpHandle> | null;
  if (socket.writableEnded || socket.destroyed || typeof handle?.getpeername !== 'function') return false;
  // ENOTCONN: the kernel has closed the connection by itself.
  return handle.getpeername({}) !== 0;
}

// Runs in: primary, cli
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Listener } from '../../../domain/entities.ts';
import { isIPv6Only, type ListenAddress, overlap } from '../../../domain/listen-addresses.ts';
import { EdgeError } from '../../../errors.ts';
import { formatEndpoint } from '../../../ip-address.ts';
import type { ListeningSocket } from '../../../ipc/listening-socket.ts';
import { type Holder, holderOf, unixHolderOf } from './address-holder.ts';
import { bindAddress } from './bind-address.ts';
import { whyNotWritable } from './why-not-writable.ts';

export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** What a proxy means to listen on. */
export interface Addresses {
  readonly listeners: readonly Listener[];
  /** `null`: off. */
  readonly admin: AdminAddress | null;
}

/** Why one of them cannot be listened on. */
export interface Conflict {
  readonly use: 'listener' | 'admin';
  readonly address: string;
  /** Who has it, where that can be told. */
  readonly holder: Holder | null;
  /** What is wrong, and what to do. */
  readonly message: string;
}

/**
 * Binds all listeners' addresses, and looks whether the admin server's can be bound; nothing listens yet. Those in
 * `conflicts` are not among `sockets`, which are the caller's to close.
 */
export function bindAddresses({ listeners, admin }: Addresses): { sockets: ListeningSocket[]; conflicts: Conflict[] } {
  const sockets: ListeningSocket[] = [];
  const conflicts: Conflict[] = [];
  const taken: Listener[] = [];
  for (const listener of listeners) {
    const rival = taken.find((other) => overlap(other, listener, listeners));
    if (rival !== undefined) {
      conflicts.push(
        conflict('listener', listener.name, `it overlaps the listener ${rival.name}: leave one of them out`),
      );
      continue;
    }
    taken.push(listener);
    const bound = bindAddress(listener, isIPv6Only(listener, listeners));
    if (typeof bound === 'string') {
      conflicts.push(unavailable('listener', listener, bound));
      continue;
    }
    const name = formatEndpoint(listener.host, bound.port);
    sockets.push({ listener: { ...listener, name, port: bound.port }, handle: bound.handle });
  }
  const adminConflict = admin === null ? null : findAdminConflict(admin, listeners);
  if (adminConflict !== null) conflicts.push(adminConflict);
  return { sockets, conflicts };
}

/** The error of a start that cannot listen. One message for all conflicts; there is at least one. */
export function conflictError(conflicts: readonly Conflict[]): EdgeError {
  const code = conflicts.every(({ use }) => use === 'admin') ? 'EDGE_ERR_ADMIN_LISTEN' : 'EDGE_ERR_LISTEN';
  const messages = conflicts.map(({ message }) => message);
  const [first = ''] = messages;
  return new EdgeError(
    code,
    messages.length === 1 ? first : `${messages.length} addresses cannot be had:\n  ${messages.join('\n  ')}`,
  );
}

function findAdminConflict(admin: AdminAddress, listeners: readonly Listener[]): Conflict | null {
  if (admin.kind === 'unix') return findSocketFileConflict(admin.path);
  const name = formatEndpoint(admin.host, admin.port);
  const rival = listeners.find((listener) => overlap(listener, admin, listeners));
  if (rival !== undefined) return conflict('admin', name, `it overlaps the listener ${rival.name}: ${ADMIN_ADVICE}`);
  const bound = bindAddress(admin, false);
  if (typeof bound === 'string') return unavailable('admin', admin, bound);
  // The server itself binds it, before the first worker starts.
  bound.handle.close();
  return null;
}

/** Of the path of a unix socket: `sun_path`, which need not end in a 0. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 108 : 104;

/** A socket file that nobody listens on is removed when the server opens. */
function findSocketFileConflict(path: string): Conflict | null {
  const where = `unix:${path}`;
  const because = whyNoSocket(path);
  if (because !== null) return conflict('admin', where, `${because}: ${ADMIN_ADVICE}`);
  const holder = unixHolderOf(path);
  return holder === null ? null : conflict('admin', where, `${describe(holder)} has it: ${ADMIN_ADVICE}`, holder);
}

function whyNoSocket(path: string): string | null {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    return `a unix socket's path may have ${MAX_SOCKET_PATH_BYTES} bytes`;
  }
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) return 'a file that is no socket is there';
  return whyNotWritable(dirname(resolve(path)));
}

/** What the kernel says of an address: the errno's name. */
export function unavailable(use: Conflict['use'], address: ListenAddress, code: string): Conflict {
  const holder = code === 'EADDRINUSE' ? holderOf(address) : null;
  const why = code === 'EADDRINUSE' ? `${describe(holder)} has it` : (WHY[code] ?? 'the kernel refuses it');
  const instead = use === 'admin' ? ADMIN_ADVICE : 'set EDGEPROXY_LISTEN_ADDR to another address';
  const stop = code === 'EADDRINUSE' ? 'stop that, or ' : '';
  return conflict(use, formatEndpoint(address.host, address.port), `${code}: ${why}: ${stop}${instead}`, holder);
}

const ADMIN_ADVICE = 'set EDGEPROXY_ADMIN_ADDR to another, or to off';

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'ports below 1024 need the capability CAP_NET_BIND_SERVICE, or root',
  EADDRNOTAVAIL: 'this machine has no such address',
  EMFILE: 'this process may not open more descriptors: raise `ulimit -n`',
};

function describe(holder: Holder | null): string {
  return holder === null ? 'another process' : `${holder.name} (pid ${holder.pid})`;
}

function conflict(use: Conflict['use'], address: string, why: string, holder: Holder | null = null): Conflict {
  const what = use === 'admin' ? `the admin address ${address}` : address;
  return { use, address, holder, message: `cannot listen on ${what}: ${why}` };
}

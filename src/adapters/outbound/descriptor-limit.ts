// Runs in: primary, worker, cli
import { readFileSync } from 'node:fs';
import { EdgeError } from '../../errors.ts';

/** What a worker needs beside connections and listening sockets: stdio, channels, libuv's own, and some to accept and refuse with. */
const RESERVED_DESCRIPTORS = 64;
/** A connection is two sockets. */
const DESCRIPTORS_A_CONNECTION = 2;

/** Where the platform does not say: what every current system allows. */
const ASSUMED_LIMIT = 1024;

/** Client connections that a process with so many listening sockets can hold before it runs out of descriptors; at least 1. */
export function connectionBudget(descriptorLimit: number, listeners: number): number {
  return Math.max(1, Math.floor((descriptorLimit - RESERVED_DESCRIPTORS - listeners) / DESCRIPTORS_A_CONNECTION));
}

/** Whether a worker of a POP refuses clients on a busy day. */
export function isFew(connections: number): boolean {
  return connections < 1000;
}

export const FEW_CONNECTIONS =
  'a worker can hold few client connections, and refuses those beyond: raise the descriptor limit (ulimit -n; LimitNOFILE= of systemd)';

/** @throws EDGE_ERR_LISTEN when so many listening sockets are more than a process may have beside what else it needs */
export function requireDescriptors(descriptorLimit: number, listeners: number): void {
  const needed = RESERVED_DESCRIPTORS + listeners + DESCRIPTORS_A_CONNECTION;
  if (needed <= descriptorLimit) return;
  throw new EdgeError(
    'EDGE_ERR_LISTEN',
    `with ${listeners} listener${listeners === 1 ? '' : 's'} each process needs ${needed} descriptors, and may open ` +
      `${descriptorLimit}: raise ulimit -n (systemd: LimitNOFILE=), or set EDGEPROXY_LISTEN_ADDR to fewer addresses`,
  );
}

/** The soft limit of open files of this process (Node raises it to the hard one when it starts). */
export function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? ASSUMED_LIMIT : Number(line[1]);
  } catch {
    return ASSUMED_LIMIT;
  }
}

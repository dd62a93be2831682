// Runs in: cli
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { descriptorLimit, requireDescriptors } from '../adapters/outbound/descriptor-limit.ts';
import { bindAddresses, conflictError } from '../adapters/outbound/listening-sockets/find-conflicts.ts';
import { type Config, VARIABLES } from '../config.ts';
import { EdgeError } from '../errors.ts';

/** The addresses as a start would find them. */
export interface AddressReport {
  /** The running proxy of the same routing database, when it has some of them: whoever starts this one stops that. */
  readonly pid: number | null;
  readonly error: EdgeError | null;
}

/** Binds what a start would listen on, for an instant: that disturbs nobody, neither who has an address nor who comes for it. */
export function checkAddresses(config: Config): AddressReport {
  try {
    requireDescriptors(descriptorLimit(), config.listeners.length);
  } catch (error) {
    if (error instanceof EdgeError) return { pid: null, error };
    throw error;
  }
  const { sockets, conflicts } = bindAddresses(config);
  for (const { handle } of sockets) handle.close();
  const holders = new Set(conflicts.map(({ holder }) => holder?.pid ?? 0));
  const pid = [...holders].find((candidate) => candidate > 0 && isProxyOf(candidate, config.dbPath)) ?? null;
  const others = conflicts.filter(({ holder }) => holder === null || holder.pid !== pid);
  return { pid, error: others.length === 0 ? null : conflictError(others) };
}

export function describeAddresses({ pid, error }: AddressReport): readonly string[] {
  if (error !== null) return ['addresses: NOT AVAILABLE'];
  if (pid === null) return ['addresses: free'];
  return [`addresses: in use by the running proxy of this routing database (pid ${pid}), and free when it stops`];
}

/** Whether a process is the primary of a proxy that serves from the routing database at `path`. */
function isProxyOf(pid: number, path: string): boolean {
  try {
    // Not its name alone: several proxies may run on one host.
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('edgeproxy primary')) return false;
    const env = new Map(
      readFileSync(`/proc/${pid}/environ`, 'utf8')
        .split('\0')
        .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
    const its = env.get('EDGEPROXY_DB_PATH') ?? VARIABLES.EDGEPROXY_DB_PATH.default;
    return realpathSync(resolve(readlinkSync(`/proc/${pid}/cwd`), its)) === realpathSync(path);
  } catch {
    // Of another user, gone, or without a database: not known to be.
    return false;
  }
}

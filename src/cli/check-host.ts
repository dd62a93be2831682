// Runs in: cli
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { chooseEngine } from '../adapters/dataplane/choose-engine.ts';
import { loadAddon } from '../adapters/dataplane/epoll/load-addon.ts';
import { connectionBudget, descriptorLimit, FEW_CONNECTIONS, isFew } from '../adapters/outbound/descriptor-limit.ts';
import type { Config } from '../config.ts';
import { codeOf, EdgeError, messageOf } from '../errors.ts';

/** What a start needs of this host beside its files. */
export interface HostReport {
  readonly engine: string | null;
  /** Client connections that each worker can hold. */
  readonly connections_a_worker: number;
  readonly warnings: readonly string[];
  readonly errors: readonly EdgeError[];
}

/** Of the path of a unix socket: `sun_path`, which need not end in a 0. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 108 : 104;

/** Never throws for what it finds. */
export function checkHost(config: Config): HostReport {
  const errors: EdgeError[] = [];
  const attempt = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      errors.push(error);
      return null;
    }
  };
  const engine = attempt(() => chooseEngine(config.engine, loadAddon).engine);
  const { admin } = config;
  if (admin?.kind === 'unix') attempt(() => requireSocketPlace(admin.path));
  const connections = connectionBudget(descriptorLimit(), config.listeners.length);
  return {
    engine,
    connections_a_worker: connections,
    warnings: isFew(connections) ? [FEW_CONNECTIONS] : [],
    errors,
  };
}

export function describeHost({ engine, connections_a_worker }: HostReport): readonly string[] {
  return [`engine: ${engine ?? 'CANNOT BE LOADED'}; ${connections_a_worker} client connections a worker at most`];
}

/** Whether a file may be made in `directory`: why not, or `null`. */
export function whyNotWritable(directory: string): string | null {
  try {
    if (!statSync(directory).isDirectory()) return `${directory} is no directory`;
    accessSync(directory, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return `the directory ${directory} does not exist`;
    return code === 'EACCES' ? `this user may not write to the directory ${directory}` : messageOf(error);
  }
}

function requireSocketPlace(path: string): void {
  const because = whyNoSocket(path);
  if (because === null) return;
  const message = `cannot bind the admin address unix:${path}: ${because}; set EDGEPROXY_ADMIN_ADDR to another, or to off`;
  throw new EdgeError('EDGE_ERR_ADMIN_LISTEN', message);
}

function whyNoSocket(path: string): string | null {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    return `a unix socket's path may have ${MAX_SOCKET_PATH_BYTES} bytes`;
  }
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) return 'a file that is no socket stands there';
  return whyNotWritable(dirname(resolve(path)));
}

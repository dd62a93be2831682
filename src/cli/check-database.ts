// Runs in: cli
import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { whyNotWritable } from '../adapters/outbound/listening-sockets/why-not-writable.ts';
import { readTable } from '../adapters/outbound/sqlite/load-table.ts';
import type { Config } from '../config.ts';
import type { Backend } from '../domain/entities.ts';
import { exclusion } from '../domain/services/load-balancer.ts';
import type { RowProblem } from '../domain/table-image.ts';
import { codeOf, EdgeError } from '../errors.ts';
import { count } from './output.ts';
import { ownEndpointsOf } from './own-endpoints.ts';

/** The routing database as a start would find it. */
export interface DatabaseReport {
  readonly path: string;
  readonly exists: boolean;
  /** Rows that are good, and those of them that may get new clients. */
  readonly backends: number;
  readonly serving: number;
  readonly skipped: number;
  /** The first of the rows that are skipped. */
  readonly problems: readonly RowProblem[];
  readonly warnings: readonly string[];
  readonly error: EdgeError | null;
}

/** Reads the database as the proxy does, loops with our own listeners included. Never throws for what it finds. */
export async function checkDatabase(config: Config): Promise<DatabaseReport> {
  const { dbPath: path, listeners } = config;
  const nothing = { path, exists: true, backends: 0, serving: 0, skipped: 0, problems: [], warnings: [], error: null };
  const real = await realpath(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    // The load meets what is wrong with the path, and says it.
    return path;
  });
  if (real === null) return { ...nothing, exists: false, ...creation(path) };

  const ownEndpoints = ownEndpointsOf(listeners, config.admin);
  const reply = await readTable({ path: real, ownEndpoints, leftOver: null });
  if (reply.kind === 'failed') return { ...nothing, error: new EdgeError(reply.code, reply.message) };
  const { backends, problems, problemCount, warning } = reply;
  return {
    ...nothing,
    backends: backends.length,
    serving: serving(backends, '').length,
    skipped: problemCount,
    problems,
    warnings: [...(warning === undefined ? [] : [warning]), ...unserved(backends, listeners)],
  };
}

/** A start makes the file that is missing, and serves nobody until there is a backend. */
function creation(path: string): Pick<DatabaseReport, 'warnings' | 'error'> {
  const because = whyNotWritable(dirname(resolve(path)));
  if (because === null) return { warnings: ['no backend serves: clients are refused until there is one'], error: null };
  const message = `${path} cannot be created: ${because}. Set EDGEPROXY_DB_PATH to where edgeProxy's user may write`;
  return { warnings: [], error: new EdgeError('EDGE_ERR_DB_UNREADABLE', message) };
}

export function describeDatabase(report: DatabaseReport): readonly string[] {
  const { path, exists, backends, serving, skipped, problems, error } = report;
  if (error !== null) return [`routing database ${path}: ${exists ? 'NOT READABLE' : 'CANNOT BE CREATED'}`];
  if (!exists) return [`routing database ${path}: does not exist yet; the start creates it, empty`];
  const more = skipped - problems.length;
  return [
    `routing database ${path}: ${count(backends, 'backend')}, ${serving} serving, ${count(skipped, 'row')} skipped`,
    ...problems.map(
      ({ id, column, value, expected }) => `  skipped ${id}: ${column} is ${value}: expected ${expected}`,
    ),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

/** Those that would take clients of `app`, the first ones at least. */
function serving(backends: readonly Backend[], app: string): readonly Backend[] {
  return backends.filter((row) => exclusion(row, app, 0, []) === null);
}

function unserved(backends: readonly Backend[], listeners: Config['listeners']): string[] {
  return listeners
    .filter(({ app }) => serving(backends, app).length === 0)
    .map(({ name, app }) => {
      const which = app === '' ? 'backend' : `backend of app "${app}"`;
      return `no ${which} serves: clients of the listener ${name} would be refused`;
    });
}

// Runs in: cli
import { stat } from 'node:fs/promises';
import { EdgeError } from '../errors.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { type AdminOptions, adminClient } from './admin-options.ts';
import { count } from './output.ts';

/** What came of asking the running proxy to look at a change. */
export type Told =
  /** It looked: this is what it serves now. */
  | { readonly seen: true; readonly version: number; readonly backends: number; readonly skipped: number }
  | {
      readonly seen: false;
      readonly why: /** `--no-wait` */
        | 'unasked'
        /** No proxy runs where we asked. */
        | 'no_proxy'
        /** It serves another file. */
        | 'other_database'
        /** It looked, and what it found cannot be loaded. */
        | 'not_loaded'
        /** It did not answer as it should. */
        | 'no_answer';
      readonly detail: string;
    };

/** A load of 100,000 rows takes a second; a proxy that takes longer than this is told to people. In ms. */
const PATIENCE_MS = 15_000;

/**
 * Gives what asks the proxy of these options to look at `database`, a real path, now. Never rejects.
 * @throws EDGE_ERR_USAGE, EDGE_ERR_CONFIG for options and variables that name no address
 */
export function proxyToTell(options: AdminOptions & { readonly wait?: boolean }): (database: string) => Promise<Told> {
  if (options.wait === false) return async () => ({ seen: false, why: 'unasked', detail: '' });
  try {
    const client = adminClient(options);
    return (database) => tell(client, database);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const detail = 'EDGEPROXY_ADMIN_ADDR names no address to ask at';
    return async () => ({ seen: false, why: 'no_proxy', detail });
  }
}

async function tell(client: AdminClient, database: string): Promise<Told> {
  try {
    const answer = await client.ask({
      method: 'POST',
      path: '/api/v1/routing/look',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!isLook(answer)) throw client.misunderstood();
    const { path, version, backends, skipped, error } = answer;
    if (!(await isSameFile(path, database))) return { seen: false, why: 'other_database', detail: path };
    if (error !== undefined) return { seen: false, why: 'not_loaded', detail: error };
    return { seen: true, version, backends, skipped };
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    const nobody = isUnreachable(error) && NOBODY.has((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '');
    return nobody
      ? { seen: false, why: 'no_proxy', detail: `no proxy runs at ${client.name}` }
      : { seen: false, why: 'no_answer', detail: error.message };
  }
}

export function describeTold(told: Told, reloadSecs: number): string {
  if (told.seen) {
    const skipped = told.skipped === 0 ? '' : `, ${count(told.skipped, 'row')} skipped`;
    return `the running proxy has it: routing table ${told.version}, ${count(told.backends, 'backend')}${skipped}`;
  }
  const later = `a running proxy of this database sees it within ${reloadSecs} s (EDGEPROXY_DB_RELOAD_SECS)`;
  if (told.why === 'unasked') return later;
  if (told.why === 'no_proxy') return `${told.detail} (--admin names another); ${later}`;
  if (told.why === 'other_database') return otherDatabase(told.detail);
  if (told.why === 'not_loaded') return `warning: the running proxy could not load it: ${told.detail}`;
  return `warning: the running proxy was not told: ${told.detail}; ${later}`;
}

export function otherDatabase(path: string): string {
  return `warning: the proxy that runs serves another database, ${path}: name that with --db, or another proxy with --admin`;
}

/** By device and inode: links and other spellings of a path are the same file. */
export async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => stat(path, { bigint: true }).catch(() => null)));
  return a != null && b != null && a.dev === b.dev && a.ino === b.ino;
}

/** What says that nothing listens there. */
const NOBODY: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT']);

function isUnreachable(error: unknown): error is EdgeError {
  return error instanceof EdgeError && error.code === 'EDGE_ERR_ADMIN_UNREACHABLE';
}

interface Look {
  readonly path: string;
  readonly version: number;
  readonly backends: number;
  readonly skipped: number;
  readonly error?: string;
}

function isLook(answer: unknown): answer is Look {
  return (
    isObject(answer) &&
    typeof answer.path === 'string' &&
    [answer.version, answer.backends, answer.skipped].every((number) => typeof number === 'number')
  );
}

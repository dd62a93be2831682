// Runs in: cli
import { EdgeError } from '../errors.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { type AdminOptions, adminClient } from './admin-options.ts';
import type { LiveBackend, LiveBackends } from './backend-text.ts';
import { askStatus, STATUS_TIMEOUT_MS } from './status.ts';
import { isSameFile, otherDatabase } from './tell-proxy.ts';

/** Rows of a page, and pages: more are not a list for people. */
const PAGE_ROWS = 1000;
const MOST_PAGES = 1000;

/**
 * What the running proxy says of its backends, if it serves `database`, a real path; `live` is `null` if not, and `note`
 * why. Fails only for options that name no address.
 */
export async function askLiveBackends(
  options: AdminOptions,
  database: string,
  signal?: AbortSignal,
): Promise<{ readonly live: LiveBackends | null; readonly note: string }> {
  try {
    const client = adminClient(options);
    const { routing } = await askStatus(client, 0, signal);
    if (!(await isSameFile(routing.path, database))) return { live: null, note: otherDatabase(routing.path) };
    const note = routing.error === '' ? '' : `warning: the running proxy could not load it: ${routing.error}`;
    return { live: await askAll(client, signal), note };
  } catch (error) {
    if (!(error instanceof EdgeError) || !NOT_ASKED.has(error.code)) throw error;
    return { live: null, note: `without connections: ${error.message}` };
  }
}

const NOT_ASKED: ReadonlySet<string> = new Set(['EDGE_ERR_ADMIN_UNREACHABLE', 'EDGE_ERR_ADMIN_REFUSED']);

async function askAll(client: AdminClient, signal: AbortSignal | undefined): Promise<LiveBackends> {
  const live = new Map<string, LiveBackend>();
  let after: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE_ROWS), ...(after === undefined ? {} : { after }) });
    const timeout = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    const answer = await client.ask({
      method: 'GET',
      path: `/api/v1/backends?${query}`,
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    if (!isObject(answer) || !Array.isArray(answer.backends)) throw client.misunderstood();
    for (const { id, connections, state } of answer.backends) live.set(id, { connections, state });
    if (typeof answer.next !== 'string' || answer.next === after) break;
    after = answer.next;
  }
  return live;
}

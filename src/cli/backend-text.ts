// Runs in: cli
import type { StoredBackend } from '../adapters/outbound/sqlite/backend-editor.ts';
import { type BackendState, backendRow } from '../application/view-backends.ts';
import { formatEndpoint } from '../ip-address.ts';
import type { Block } from './output.ts';
import { NOTHING, type Table } from './table.ts';

/** What the running proxy says of a backend. */
export interface LiveBackend {
  readonly connections: number;
  readonly state: BackendState;
}

export type LiveBackends = ReadonlyMap<string, LiveBackend>;

/** A stored row for programs: under the database's column names, or, when it is bad, what is wrong with it. */
export function storedRow({ id, rowid, backend, problem }: StoredBackend) {
  if (backend !== null) return backendRow(backend);
  return { id, rowid, problem: { column: problem?.column, value: problem?.value, expected: problem?.expected } };
}

/** `weight 1, soft limit 100`: what a person wants to read back after a change. */
export function describeStored(stored: StoredBackend): string {
  const { backend } = stored;
  if (backend === null) return `INVALID, the proxy skips it: ${describeProblem(stored)}`;
  const { app, host, port, weight, softLimit, hardLimit } = backend;
  return [
    `${formatEndpoint(host, port)} in ${placeOf(backend)}`,
    ...(app === '' ? [] : [`app ${app}`]),
    `weight ${weight}`,
    softLimit === 0 ? 'no soft limit' : `soft limit ${softLimit}`,
    hardLimit === 0 ? 'no hard limit' : `hard limit ${hardLimit}`,
    statusOf(stored),
  ].join(', ');
}

/** The rows, and below them what is wrong with those that the proxy skips. `live`: what the running proxy says of each. */
export function describeBackends(rows: readonly StoredBackend[], live: LiveBackends | null): readonly Block[] {
  const stateOf = (stored: StoredBackend) => live?.get(stored.id)?.state ?? statusOf(stored);
  const table: Table = {
    head: ['ID', 'APP', 'PLACE', 'ADDRESS', 'WEIGHT', ...(live === null ? [] : ['CONNS']), 'SOFT', 'HARD', 'STATE'],
    rows: [
      ...rows.map((stored) => {
        const { id, backend } = stored;
        const connections = live === null ? [] : [live.get(id)?.connections ?? NOTHING];
        if (backend === null)
          return [id, NOTHING, NOTHING, NOTHING, NOTHING, ...connections, NOTHING, NOTHING, stateOf(stored)];
        const { app, host, port, weight, softLimit, hardLimit } = backend;
        const address = formatEndpoint(host, port);
        const limits = [softLimit, hardLimit || NOTHING];
        return [id, app || NOTHING, placeOf(backend), address, weight, ...connections, ...limits, stateOf(stored)];
      }),
    ],
    spare: ['APP', 'WEIGHT'],
  };
  const wrong = rows.filter(({ backend }) => backend === null);
  return [table, ...wrong.map((stored) => `the proxy skips ${stored.id}: ${describeProblem(stored)}`)];
}

/** `sa/BR`, or `sa` when the country is unknown. */
export function placeOf({ region, country }: { readonly region: string; readonly country: string | null }): string {
  return country === null ? region : `${region}/${country}`;
}

/** As the row alone says: how full the backend is, only a running proxy knows. */
function statusOf({ backend }: Pick<StoredBackend, 'backend'>): string {
  if (backend === null) return 'INVALID';
  const { healthy, deleted, weight } = backend;
  if (deleted) return 'removed';
  if (!healthy) return 'disabled';
  return weight === 0 ? 'draining' : 'enabled';
}

function describeProblem({ rowid, problem }: StoredBackend): string {
  if (problem === null) return '';
  const text = `${problem.column} is ${problem.value}: expected ${problem.expected}`;
  // Such a row has no id that a command could name.
  return problem.column === 'id' && rowid !== null ? `${text} (delete it with --rowid ${rowid})` : text;
}

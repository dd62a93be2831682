// Runs in: cli
import type { StoredBackend } from '../adapters/outbound/sqlite/backend-editor.ts';
import { backendRow } from '../application/view-backends.ts';
import type { Backend } from '../domain/entities.ts';
import { formatEndpoint } from '../ip-address.ts';
import type { Table } from './output.ts';

/** A stored row for programs: under the database's column names, or, when it is bad, what is wrong with it. */
export function storedRow({ id, rowid, backend, problem }: StoredBackend) {
  if (backend !== null) return backendRow(backend);
  return { id, rowid, problem: { column: problem?.column, value: problem?.value, expected: problem?.expected } };
}

/** `weight 1, soft limit 100`: what a person wants to read back after a change. */
export function describeStored(stored: StoredBackend): string {
  const { backend } = stored;
  if (backend === null) return `INVALID, the proxy skips it: ${describeProblem(stored)}`;
  const { app, region, country, host, port, weight, softLimit, hardLimit } = backend;
  return [
    `${formatEndpoint(host, port)} in ${region}${country === null ? '' : `/${country}`}`,
    ...(app === '' ? [] : [`app ${app}`]),
    `weight ${weight}`,
    softLimit === 0 ? 'no soft limit' : `soft limit ${softLimit}`,
    hardLimit === 0 ? 'no hard limit' : `hard limit ${hardLimit}`,
    statusOf(backend),
  ].join(', ');
}

export function storedTable(rows: readonly StoredBackend[]): Table {
  return {
    head: ['ID', 'APP', 'REGION', 'COUNTRY', 'ADDRESS', 'WEIGHT', 'SOFT', 'HARD', 'STATUS'],
    rows: rows.map((stored) => {
      const { id, backend } = stored;
      if (backend === null) return [id, ...Array<string>(7).fill('-'), `INVALID: ${describeProblem(stored)}`];
      const { app, region, country, host, port, weight, softLimit, hardLimit } = backend;
      const address = formatEndpoint(host, port);
      return [id, app || '-', region, country ?? '-', address, weight, softLimit, hardLimit || '-', statusOf(backend)];
    }),
  };
}

/** As the row alone says: how full the backend is, only a running proxy knows. */
function statusOf({ healthy, deleted, weight }: Backend): string {
  if (deleted) return 'removed';
  if (!healthy) return 'disabled';
  return weight === 0 ? 'draining (weight 0)' : 'enabled';
}

function describeProblem({ rowid, problem }: StoredBackend): string {
  if (problem === null) return '';
  const text = `${problem.column} is ${problem.value}: expected ${problem.expected}`;
  // Such a row has no id that a command could name.
  return problem.column === 'id' && rowid !== null ? `${text} (delete it with --rowid ${rowid})` : text;
}

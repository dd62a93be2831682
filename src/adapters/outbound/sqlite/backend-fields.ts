// Runs in: cli

import { COLUMN_NAMES, COLUMNS, type ColumnName, problemOf, type RawRow } from '../../../domain/backend-row.ts';
import type { Backend } from '../../../domain/entities.ts';
import { EdgeError } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';

/** What a person may set on a backend. Values are checked by the rules of the table: a region or country is any text here. */
export interface BackendChanges {
  readonly app?: string;
  readonly region?: string;
  readonly country?: string | null;
  readonly host?: string;
  readonly port?: number;
  readonly healthy?: boolean;
  readonly weight?: number;
  readonly softLimit?: number;
  readonly hardLimit?: number;
  readonly deleted?: boolean;
}

/** A new backend; what is left out is: any app, unknown country, healthy, weight 1, no limits. */
export interface NewBackend extends BackendChanges {
  readonly id: string;
  readonly region: string;
  readonly host: string;
  readonly port: number;
}

type Values = Partial<Record<ColumnName, string | number | null>>;

const COLUMN_OF: Readonly<Record<keyof Backend, ColumnName>> = {
  id: 'id',
  app: 'app',
  region: 'region',
  country: 'country',
  host: 'wg_ip',
  port: 'port',
  healthy: 'healthy',
  weight: 'weight',
  softLimit: 'soft_limit',
  hardLimit: 'hard_limit',
  deleted: 'deleted',
};

const DEFAULTS: BackendChanges = {
  app: '',
  country: null,
  healthy: true,
  weight: 1,
  softLimit: 0,
  hardLimit: 0,
  deleted: false,
};

/** The columns of a new backend, normalised. Throws EDGE_ERR_BACKEND_INVALID naming the first bad one. */
export function columnsOfNew(backend: NewBackend): Values {
  const given = columnsOfChanges({ ...backend });
  return { ...columnsOfChanges(DEFAULTS), ...given };
}

/** The columns that `changes` gives, normalised. Throws EDGE_ERR_BACKEND_INVALID naming the first bad one. */
export function columnsOfChanges(changes: BackendChanges & { readonly id?: string }): Values {
  const given = Object.fromEntries(
    Object.entries(COLUMN_OF).map(([field, column]) => [column, stored(changes[field as keyof Backend])]),
  ) as Record<ColumnName, string | number | null | undefined>;
  const values: Values = {};
  for (const column of COLUMN_NAMES) {
    const value = given[column];
    if (value === undefined) continue;
    const parsed = COLUMNS[column].parse(value, parseAddress);
    if (parsed === undefined) throw invalidBackend(given, column);
    values[column] = stored(parsed)!;
  }
  return values;
}

/** EDGE_ERR_BACKEND_INVALID for what `row` holds in `column`. */
export function invalidBackend(row: Partial<RawRow>, column: ColumnName, expected?: string): EdgeError {
  const problem = problemOf({ ...NO_ROW, ...row }, column, expected);
  return new EdgeError('EDGE_ERR_BACKEND_INVALID', `${column} is ${problem.value}: expected ${problem.expected}`);
}

const NO_ROW = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as RawRow;

/** As SQLite stores it: it has no booleans. */
function stored(value: string | number | boolean | null | undefined): string | number | null | undefined {
  return typeof value === 'boolean' ? Number(value) : value;
}

// Runs in: primary, thread, cli
import type Database from 'better-sqlite3';
import { COLUMN_NAMES, type ColumnName } from '../../../domain/backend-row.ts';
import { EdgeError } from '../../../errors.ts';

/** The table as edgeProxy creates it. Operators' own may have more columns, and lack OPTIONAL_COLUMNS. */
export const CREATE_TABLE = `CREATE TABLE backends (id TEXT PRIMARY KEY, app TEXT, region TEXT, country TEXT, wg_ip TEXT, port INTEGER,
  healthy INTEGER, weight INTEGER, soft_limit INTEGER, hard_limit INTEGER, deleted INTEGER DEFAULT 0);`;

/** Columns that files of older releases do not have, and how to add them. */
export const OPTIONAL_COLUMNS: Readonly<Partial<Record<ColumnName, string>>> = {
  country: 'ALTER TABLE backends ADD COLUMN country TEXT;',
  deleted: 'ALTER TABLE backends ADD COLUMN deleted INTEGER DEFAULT 0;',
};

/**
 * The optional columns that the file has not. Throws EDGE_ERR_DB_SCHEMA when the table or another column is missing,
 * and what SQLite throws.
 */
export function missingColumns(db: Database.Database, path: string): ReadonlySet<ColumnName> {
  // table_xinfo also names generated columns, which are as good as stored ones.
  const found = db.prepare("SELECT lower(name) FROM pragma_table_xinfo('backends')").pluck().all() as string[];
  if (found.length === 0) {
    throw new EdgeError(
      'EDGE_ERR_DB_SCHEMA',
      `${path} has no table "backends": put the right database there, or create the table with: ${CREATE_TABLE}`,
    );
  }
  const missing = new Set(COLUMN_NAMES.filter((name) => !found.includes(name)));
  const required = [...missing].filter((name) => OPTIONAL_COLUMNS[name] === undefined);
  if (required.length > 0) {
    throw new EdgeError(
      'EDGE_ERR_DB_SCHEMA',
      `${path}: the table "backends" lacks ${required.join(', ')}: add with ALTER TABLE backends ADD COLUMN`,
    );
  }
  return missing;
}

/**
 * The columns of a SELECT that gives a `RawRow` from any file; `missing` ones are NULL. Each is named, since SQLite
 * otherwise names it as the file's author wrote it: `ID`, `Port`.
 */
export function selectList(missing: ReadonlySet<ColumnName>): string {
  return COLUMN_NAMES.map((name) => `${missing.has(name) ? 'NULL' : name} AS ${name}`).join(', ');
}

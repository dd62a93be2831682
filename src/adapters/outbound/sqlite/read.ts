// Runs in: thread
import type Database from 'better-sqlite3';
import { type IsOwnEndpoint, type JudgedRows, judgeRows, type RawRow } from '../../../domain/backend-row.ts';
import { EdgeError } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';
import { missingColumns, selectList } from './schema.ts';

/** Rows that a table may have, good and bad: what a thread's default heap takes with room to spare. */
export const MAX_ROWS = 1_000_000;

/**
 * Reads and validates every row. Throws EDGE_ERR_DB_SCHEMA, EDGE_ERR_DB_UNREADABLE for more than `maxRows` rows, and
 * what SQLite throws.
 */
export function readBackends(
  db: Database.Database,
  path: string,
  isOwn: IsOwnEndpoint,
  maxRows = MAX_ROWS,
): JudgedRows {
  const select = db.prepare<[], RawRow>(`SELECT ${selectList(missingColumns(db, path))} FROM backends`);
  return judgeRows(atMost(maxRows, select.iterate(), path), { parseAddress, isOwn });
}

function* atMost(maxRows: number, rows: Iterable<RawRow>, path: string): Generator<RawRow, void> {
  let count = 0;
  for (const row of rows) {
    if (count++ === maxRows) {
      throw new EdgeError('EDGE_ERR_DB_UNREADABLE', `${path} has more than ${maxRows} backends: delete some`);
    }
    yield row;
  }
}

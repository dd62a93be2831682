// Runs in: thread
import type Database from 'better-sqlite3';
import type { Backend } from '../../../domain/entities.ts';
import { MAX_NAMED_PROBLEMS, type RowProblem } from '../../../domain/table-image.ts';
import { EdgeError } from '../../../errors.ts';
import { type IsOwnEndpoint, isProblem, problemOf, type RawRow, readRow } from './rows.ts';
import { missingColumns, selectList } from './schema.ts';

export interface ReadResult {
  readonly backends: readonly Backend[];
  /** The first MAX_NAMED_PROBLEMS of the rows that were skipped. */
  readonly problems: readonly RowProblem[];
  readonly problemCount: number;
}

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
): ReadResult {
  const select = db.prepare<[], RawRow>(`SELECT ${selectList(missingColumns(db, path))} FROM backends`);
  const backends: Backend[] = [];
  const problems: RowProblem[] = [];
  let problemCount = 0;
  // The primary key does not keep ids apart: an operator's own table may have none, and different invalid UTF-8 reads
  // as the same text.
  const ids = new Set<string>();
  for (const raw of select.iterate()) {
    if (backends.length + problemCount === maxRows) {
      throw new EdgeError('EDGE_ERR_DB_UNREADABLE', `${path} has more than ${maxRows} backends: delete some`);
    }
    let row = readRow(raw, isOwn);
    if (!isProblem(row) && ids.has(row.id)) row = problemOf(raw, 'id', 'an id that no other row has');
    if (!isProblem(row)) {
      ids.add(row.id);
      backends.push(row);
    } else if (problemCount++ < MAX_NAMED_PROBLEMS) {
      problems.push(row);
    }
  }
  return { backends, problems, problemCount };
}

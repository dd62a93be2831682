import type { Backend } from '../../../../src/domain/entities.ts';
import { isDelta, type TableDelta } from '../../../../src/domain/table-delta.ts';
import { rowAt, type TableImage } from '../../../../src/domain/table-image.ts';

/** The rows of a table that came as a whole, ordered by id. */
export function rowsOf(content: TableImage | TableDelta): Backend[] {
  if (isDelta(content)) throw new Error('a change, and not a table');
  return Array.from({ length: content.rows }, (_, i) => rowAt(content, i));
}

export function idsOf(content: TableImage | TableDelta): string[] {
  return rowsOf(content).map((row) => row.id);
}

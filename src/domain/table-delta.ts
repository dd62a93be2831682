import type { JudgedRows } from './backend-row.ts';
import type { Backend } from './entities.ts';
import type { RoutingTable } from './routing-table.ts';
import { hashRows, imageOf, inOrder, rowAt, type TableContent, type TableImage } from './table-image.ts';

/** Which rows to write and which to remove. No id is in both, or twice. */
export interface TableChanges {
  readonly upserts: readonly Backend[];
  /** Ids. */
  readonly removed: readonly string[];
}

/** How to come from one content of the table to another. */
export interface TableDelta extends TableContent, TableChanges {
  /** The content hash of the table that it changes; `contentHash` is that of the outcome. */
  readonly base: string;
}

/**
 * Changes of a delta: what the primary takes over in one step of less than a millisecond. More of them come as an image,
 * which it opens in slices.
 */
export const MAX_DELTA_ROWS = 96;

/** Rows that are compared before `changesTo` yields: a fraction of a millisecond. */
const SLICE_ROWS = 500;

export function isDelta(content: TableContent): content is TableDelta {
  return 'base' in content;
}

/** Tells the content of a table that is read anew each time: what changed, to whoever has what was told last. */
export class TableFeed {
  #last: { readonly rows: readonly Backend[]; readonly contentHash: string } | null = null;

  /** `have`: the content hash of the table that the asker has; `null`: none. */
  tell({ backends, problems, problemCount }: JudgedRows, have: string | null): TableImage | TableDelta {
    const rows = inOrder(backends);
    const content = { rows: rows.length, contentHash: hashRows(rows), problems, problemCount };
    const last = this.#last;
    this.#last = { rows, contentHash: content.contentHash };
    if (last === null || have !== last.contentHash) return imageOf(rows, content);
    const changes = changesBetween(last.rows, rows);
    if (changes.upserts.length + changes.removed.length > MAX_DELTA_ROWS) return imageOf(rows, content);
    return { ...content, base: have, ...changes };
  }
}

/** Both in order. */
function changesBetween(before: readonly Backend[], after: readonly Backend[]): TableChanges {
  const upserts: Backend[] = [];
  const removed: string[] = [];
  let at = 0;
  for (const row of after) {
    while (at < before.length && before[at]!.id < row.id) removed.push(before[at++]!.id);
    if (before[at]?.id !== row.id) upserts.push(row);
    else if (!isSameRow(before[at++]!, row)) upserts.push(row);
  }
  while (at < before.length) removed.push(before[at++]!.id);
  return { upserts, removed };
}

/** What makes the content of `image` of `table`. Yields now and then. */
export function* changesTo(table: RoutingTable, image: TableImage): Generator<void, TableChanges> {
  const upserts: Backend[] = [];
  const removed: string[] = [];
  const stays = new Uint8Array(table.end);
  let seen = 0;
  for (let i = 0; i < image.rows; i++) {
    const row = rowAt(image, i);
    const slot = table.slotOf(row.id);
    if (slot >= 0) stays[slot] = 1;
    if (slot < 0 || !isSameRow(table.backend(slot), row)) upserts.push(row);
    if (++seen % SLICE_ROWS === 0) yield;
  }
  for (const slot of table.slotsBehind()) {
    if (stays[slot] === 0) removed.push(table.backend(slot).id);
    if (++seen % SLICE_ROWS === 0) yield;
  }
  return { upserts, removed };
}

function isSameRow(one: Backend, other: Backend): boolean {
  return (
    one.id === other.id &&
    one.app === other.app &&
    one.region === other.region &&
    one.country === other.country &&
    one.host === other.host &&
    one.port === other.port &&
    one.healthy === other.healthy &&
    one.weight === other.weight &&
    one.softLimit === other.softLimit &&
    one.hardLimit === other.hardLimit &&
    one.deleted === other.deleted
  );
}

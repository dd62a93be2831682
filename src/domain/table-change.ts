import type { RoutingTable } from './routing-table.ts';

/** What differs between two routing tables. */
export interface TableChange {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** The first ids of each kind, in the order of the tables, `MOST_IDS` of each at most: `+new`, `-gone`, `~other`. */
  readonly ids: readonly string[];
}

const MOST_IDS = 3;
/** Rows that are compared before it yields: a fraction of a millisecond. */
const SLICE_ROWS = 2000;

/** Compares rows by id, in slices: yields every fraction of a millisecond, so that its caller may let others run. */
export function* compareTables(before: RoutingTable, after: RoutingTable): Generator<void, TableChange> {
  const added = new Few('+');
  const removed = new Few('-');
  const changed = new Few('~');
  for (let slot = 0; slot < after.size; slot++) {
    if (slot % SLICE_ROWS === SLICE_ROWS - 1) yield;
    const id = after.idOf(slot);
    const was = before.slotOf(id);
    if (was < 0) added.add(id);
    else if (!after.hasSameRow(slot, before, was)) changed.add(id);
  }
  for (let slot = 0; slot < before.size; slot++) {
    if (slot % SLICE_ROWS === SLICE_ROWS - 1) yield;
    const id = before.idOf(slot);
    if (after.slotOf(id) < 0) removed.add(id);
  }
  return {
    added: added.count,
    removed: removed.count,
    changed: changed.count,
    ids: [...added.first, ...removed.first, ...changed.first],
  };
}

class Few {
  count = 0;
  readonly first: string[] = [];
  readonly #mark: string;

  constructor(mark: string) {
    this.#mark = mark;
  }

  add(id: string): void {
    if (this.count++ < MOST_IDS) this.first.push(this.#mark + id);
  }
}

import type { BackendSlots } from './backend-slots.ts';
import type { Backend } from './entities.ts';
import { placeOf, ROWS_A_CHUNK, RoutingTable, type RowChunk } from './routing-table.ts';
import { TableChange } from './table-change.ts';

/** Slots of a chunk of the order before it is split. */
const MAX_ORDER_CHUNK = 512;

/**
 * The next version of a routing table, under way: copies the chunks that it touches, and leaves the table as it is. Ends
 * in `finish`, and then in `commit` once the new table serves; or in `abandon`.
 */
export class TableEdit {
  readonly change = new TableChange();
  readonly #before: RoutingTable;
  readonly #slots: BackendSlots;
  readonly #rows: RowChunk[];
  readonly #order: (readonly number[])[];
  /** Chunks that are this edit's own, and may be written. */
  readonly #own = new Set<readonly unknown[]>();
  readonly #added: number[] = [];
  readonly #removed: number[] = [];

  constructor(before: RoutingTable, slots: BackendSlots) {
    this.#before = before;
    this.#slots = slots;
    this.#rows = [...before.parts.rows];
    this.#order = [...before.parts.order];
  }

  /** Writes a row, new or not. Returns its slot. */
  put(row: Backend): number {
    const known = this.#slotOf(row.id);
    if (known >= 0) {
      this.#chunkOf(known)[known % ROWS_A_CHUNK] = row;
      this.change.changed(row.id);
      return known;
    }
    const slot = this.#slots.take(row.id);
    this.#added.push(slot);
    this.#chunkOf(slot)[slot % ROWS_A_CHUNK] = row;
    this.#enter(slot, row.id);
    this.change.added(row.id);
    return slot;
  }

  /** Returns the slot that the row had; -1: there is no such row. */
  remove(id: string): number {
    const slot = this.#slotOf(id);
    if (slot < 0) return -1;
    const { chunk, at } = placeOf({ rows: this.#rows, order: this.#order }, id);
    const slots = this.#order[chunk]!;
    if (slots.length === 1) this.#order.splice(chunk, 1);
    else this.#ownOf(this.#order, chunk).splice(at, 1);
    this.#chunkOf(slot)[slot % ROWS_A_CHUNK] = undefined;
    this.#removed.push(slot);
    this.change.removed(id);
    return slot;
  }

  finish(contentHash: string): RoutingTable {
    const { version, size } = this.#before;
    const parts = {
      version: version + 1,
      contentHash,
      size: size + this.#added.length - this.#removed.length,
      rows: this.#rows,
      order: this.#order,
    };
    return new RoutingTable(parts, this.#slots);
  }

  /** The new table serves: the slots of rows that it has not are let go. */
  commit(): void {
    for (const slot of this.#removed) this.#slots.release(slot);
  }

  abandon(): void {
    for (const slot of this.#added) this.#slots.release(slot);
  }

  #slotOf(id: string): number {
    const slot = this.#slots.slotOf(id);
    return slot >= 0 && this.#rows[Math.floor(slot / ROWS_A_CHUNK)]?.[slot % ROWS_A_CHUNK] !== undefined ? slot : -1;
  }

  #chunkOf(slot: number): (Backend | undefined)[] {
    const n = Math.floor(slot / ROWS_A_CHUNK);
    while (this.#rows.length <= n) this.#rows.push(new Array<Backend | undefined>(ROWS_A_CHUNK).fill(undefined));
    return this.#ownOf(this.#rows, n);
  }

  #enter(slot: number, id: string): void {
    const { chunk, at } = placeOf({ rows: this.#rows, order: this.#order }, id);
    if (this.#order.length === 0) this.#order.push([]);
    const slots = this.#ownOf(this.#order, chunk);
    slots.splice(at, 0, slot);
    if (slots.length <= MAX_ORDER_CHUNK) return;
    const more = slots.splice(slots.length >> 1);
    this.#own.add(more);
    this.#order.splice(chunk + 1, 0, more);
  }

  /** Chunk n as one that may be written: a copy in its place, the first time. */
  #ownOf<T>(chunks: (readonly T[])[], n: number): T[] {
    let chunk = chunks[n] as T[];
    if (!this.#own.has(chunk)) {
      chunk = chunk.slice();
      chunks[n] = chunk;
      this.#own.add(chunk);
    }
    return chunk;
  }
}

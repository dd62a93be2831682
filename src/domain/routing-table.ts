import type { BackendSlots } from './backend-slots.ts';
import type { Backend } from './entities.ts';

/** Slots whose rows stand in one chunk; a power of two. */
export const ROWS_A_CHUNK = 512;

/** The rows of ROWS_A_CHUNK slots. */
export type RowChunk = readonly (Backend | undefined)[];

/** What a table is made of. Chunks are shared between versions, and never written once a table has them. */
export interface TableParts {
  /** Goes up when the content changed, from 1. 0 is the empty table before the first load. */
  readonly version: number;
  readonly contentHash: string;
  readonly size: number;
  /** Chunk n has the rows of the slots from n * ROWS_A_CHUNK on. */
  readonly rows: readonly RowChunk[];
  /** All slots of the table in ascending order of their rows' ids; no chunk is empty. */
  readonly order: readonly (readonly number[])[];
}

/**
 * An immutable snapshot of the backends. Rows stand at the slots of their backends, which stay while the table changes;
 * the next version is made by a `TableEdit`, which copies what it touches and shares the rest.
 */
export class RoutingTable {
  readonly #parts: TableParts;
  readonly #slots: BackendSlots;

  constructor(parts: TableParts, slots: BackendSlots) {
    this.#parts = parts;
    this.#slots = slots;
  }

  static empty(slots: BackendSlots): RoutingTable {
    return new RoutingTable({ version: 0, contentHash: '', size: 0, rows: [], order: [] }, slots);
  }

  get version(): number {
    return this.#parts.version;
  }

  get size(): number {
    return this.#parts.size;
  }

  /** Its slots are below it. */
  get end(): number {
    return this.#parts.rows.length * ROWS_A_CHUNK;
  }

  get contentHash(): string {
    return this.#parts.contentHash;
  }

  get parts(): TableParts {
    return this.#parts;
  }

  /** -1 when there is no such backend. */
  slotOf(id: string): number {
    const slot = this.#slots.slotOf(id);
    if (slot >= 0 && this.#at(slot)?.id === id) return slot;
    // What a later version gave away is still in this one.
    const { chunk, at } = placeOf(this.#parts, id);
    const found = this.#parts.order[chunk]?.[at];
    return found !== undefined && this.backend(found).id === id ? found : -1;
  }

  /** Of a slot that the table has. */
  backend(slot: number): Backend {
    return this.#at(slot)!;
  }

  find(id: string): Backend | undefined {
    const slot = this.slotOf(id);
    return slot < 0 ? undefined : this.backend(slot);
  }

  /** In ascending order of id, from behind `after` on, whether there is such a backend or not; all without it. */
  *slotsBehind(after?: string): Generator<number, void> {
    const { order } = this.#parts;
    let { chunk, at } = after === undefined ? { chunk: 0, at: 0 } : placeOf(this.#parts, after);
    for (; chunk < order.length; chunk++, at = 0) {
      const slots = order[chunk]!;
      // Only the first may be the one that is named.
      if (at < slots.length && this.backend(slots[at]!).id === after) at++;
      while (at < slots.length) yield slots[at++]!;
    }
  }

  #at(slot: number): Backend | undefined {
    return this.#parts.rows[Math.floor(slot / ROWS_A_CHUNK)]?.[slot % ROWS_A_CHUNK];
  }
}

/** Where `id` stands in the order, or would: in the last chunk that begins before it, behind all that are less. */
export function placeOf(
  { rows, order }: Pick<TableParts, 'rows' | 'order'>,
  id: string,
): { chunk: number; at: number } {
  const idAt = (slot: number) => rows[Math.floor(slot / ROWS_A_CHUNK)]![slot % ROWS_A_CHUNK]!.id;
  const chunk = Math.max(0, firstNot(order.length, (n) => idAt(order[n]![0]!) <= id) - 1);
  const slots = order[chunk];
  return { chunk, at: slots === undefined ? 0 : firstNot(slots.length, (n) => idAt(slots[n]!) < id) };
}

/** The first of 0..count-1 that `isBefore` is false of, which is true up to some number and false from there; or `count`. */
function firstNot(count: number, isBefore: (n: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

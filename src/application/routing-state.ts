// Runs in: primary
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import type { Listener } from '../domain/entities.ts';
import { RoutingTable } from '../domain/routing-table.ts';
import { PickIndex } from '../domain/services/pick-index.ts';
import type { TableChange } from '../domain/table-change.ts';
import { changesTo, isDelta, MAX_DELTA_ROWS, type TableChanges, type TableDelta } from '../domain/table-delta.ts';
import { TableEdit } from '../domain/table-edit.ts';
import type { TableImage } from '../domain/table-image.ts';
import { inSlices } from './in-slices.ts';

/** Rows that are written, or entered, before it yields: a fraction of a millisecond. */
const SLICE_ROWS = 100;

/** The routing table in service and its index, always of one version. */
export class RoutingState {
  readonly #ledger: ConnectionLedger;
  readonly #apps: ReadonlySet<string>;
  #table: RoutingTable;
  #index: PickIndex;
  /** The index of the next table, under way; told what the one in service is told. */
  #nextIndex: PickIndex | null = null;

  constructor(ledger: ConnectionLedger, listeners: readonly Pick<Listener, 'app'>[]) {
    this.#ledger = ledger;
    this.#apps = new Set(listeners.map(({ app }) => app));
    this.#table = RoutingTable.empty(ledger.slots);
    this.#index = this.#emptyIndex(0);
    ledger.watch((slot, connections) => {
      this.#index.setLoad(slot, connections);
      this.#nextIndex?.setLoad(slot, connections);
    });
  }

  get table(): RoutingTable {
    return this.#table;
  }

  get index(): PickIndex {
    return this.#index;
  }

  /** See `PickIndex`. */
  setUp(slot: number, isUp: boolean): void {
    this.#index.setUp(slot, isUp);
    this.#nextIndex?.setUp(slot, isUp);
  }

  /** See `PickIndex`. */
  setWeight(slot: number, weight: number): void {
    this.#index.setWeight(slot, weight);
    this.#nextIndex?.setWeight(slot, weight);
  }

  /**
   * Takes over what was loaded. Few changes are made in one step, to the index in service; many in slices, while the table
   * before serves on with its index, and then the whole is swapped at once. Calls must not overlap.
   * Returns what changed; `null` when the content is what served before, and then nothing is swapped.
   * @throws for a delta of another table than the one in service
   */
  async install(content: TableImage | TableDelta): Promise<TableChange | null> {
    const before = this.#table;
    if (before.version > 0 && content.contentHash === before.contentHash) return null;
    if (isDelta(content) && content.base !== before.contentHash)
      throw new Error(`a change of the table ${content.base}, and ${before.contentHash} serves`);
    const changes = isDelta(content) ? content : await inSlices(changesTo(before, content));
    const edit = new TableEdit(before, this.#ledger.slots);
    try {
      if (changes.upserts.length + changes.removed.length <= MAX_DELTA_ROWS)
        this.#change(edit, changes, content.contentHash);
      else await inSlices(this.#replace(edit, changes, content));
    } catch (error) {
      edit.abandon();
      throw error;
    } finally {
      this.#nextIndex = null;
    }
    edit.commit();
    return edit.change;
  }

  #change(edit: TableEdit, { upserts, removed }: TableChanges, contentHash: string): void {
    const gone = removed.map((id) => edit.remove(id));
    const written = upserts.map((row) => edit.put(row));
    const table = edit.finish(contentHash);
    try {
      for (const slot of gone) this.#index.remove(slot);
      for (const slot of written) this.#index.put(slot, table.backend(slot));
    } catch (error) {
      // A defect of ours, and half of a change must not serve: back to the table that does, at once, whatever it takes.
      const index = this.#emptyIndex(this.#table.end);
      for (const _ of this.#enter(index, this.#table, this.#table.slotsBehind()));
      this.#index = index;
      throw error;
    }
    this.#table = table;
  }

  *#replace(
    edit: TableEdit,
    { upserts, removed }: TableChanges,
    content: TableImage | TableDelta,
  ): Generator<void, void> {
    let done = 0;
    for (const id of removed) {
      edit.remove(id);
      if (++done % SLICE_ROWS === 0) yield;
    }
    for (const row of upserts) {
      edit.put(row);
      if (++done % SLICE_ROWS === 0) yield;
    }
    const table = edit.finish(content.contentHash);
    const slots: number[] = [];
    for (const slot of table.slotsBehind()) {
      slots.push(slot);
      if (++done % SLICE_ROWS === 0) yield;
    }
    const index = this.#emptyIndex(table.end);
    this.#nextIndex = index;
    // An image has the same rows in the same order, and says in which they are entered with the least work.
    yield* this.#enter(index, table, isDelta(content) ? slots : inRingOrder(content, slots));
    this.#table = table;
    this.#index = index;
  }

  *#enter(index: PickIndex, table: RoutingTable, slots: Iterable<number>): Generator<void, void> {
    let done = 0;
    for (const slot of slots) {
      index.putAsIn(this.#index, slot, table.backend(slot));
      if (++done % SLICE_ROWS === 0) yield;
    }
  }

  #emptyIndex(slots: number): PickIndex {
    return new PickIndex(this.#apps, (slot) => this.#ledger.connections(slot), slots);
  }
}

function* inRingOrder({ ring }: TableImage, slots: readonly number[]): Generator<number, void> {
  for (const row of ring) yield slots[row]!;
}

// Runs in: primary
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import { openRoutingTable, RoutingTable } from '../domain/routing-table.ts';
import { PickIndex } from '../domain/services/pick-index.ts';
import { buildTableImage, type TableImage } from '../domain/table-image.ts';
import { inSlices } from './in-slices.ts';

/** The routing table in service and its index, always of one version. */
export class RoutingState<L extends Lease = Lease> {
  readonly #ledger: ConnectionLedger<L>;
  #table: RoutingTable;
  #index: PickIndex;
  #unwatch: () => void = () => {};

  constructor(ledger: ConnectionLedger<L>) {
    this.#ledger = ledger;
    const nothing = buildTableImage([], []);
    this.#table = new RoutingTable(0, nothing, [], new Map());
    this.#index = new PickIndex(this.#table);
  }

  get table(): RoutingTable {
    return this.#table;
  }

  get index(): PickIndex {
    return this.#index;
  }

  /**
   * Opens `image` in slices while the table before it serves on, then swaps the whole at once. Calls must not overlap.
   * Returns whether the content differs from what served before; when it does not, nothing is swapped.
   */
  async install(image: TableImage): Promise<boolean> {
    if (this.#table.version > 0 && image.contentHash === this.#table.contentHash) return false;
    const table = await inSlices(openRoutingTable(this.#table.version + 1, image));
    const index = new PickIndex(table);
    // Watching before building: a count that changes between two slices reaches what is entered already.
    const unwatch = this.#ledger.watch((id, connections) => index.connectionsChanged(id, connections));
    try {
      await inSlices(index.build((id) => this.#ledger.connections(id)));
    } catch (error) {
      // Nobody would ever stop what half an index does at every count.
      unwatch();
      throw error;
    }
    this.#unwatch();
    this.#unwatch = unwatch;
    this.#table = table;
    this.#index = index;
    return true;
  }
}

// Runs in: thread
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { LoadReply, LoadRequest } from '../src/adapters/outbound/sqlite/load-protocol.ts';
import { loadTable } from '../src/adapters/outbound/sqlite/load-table.ts';
import { transferables } from '../src/domain/table-image.ts';

/** The piscina task that loads the routing table: its columns are moved to the primary, not copied. */
export default async function loadRoutingTable(request: LoadRequest): Promise<unknown> {
  const reply = await loadTable(request);
  return reply.kind === 'loaded' ? move(new MovedReply(reply)) : reply;
}

class MovedReply {
  readonly #reply: LoadReply & { kind: 'loaded' };

  constructor(reply: LoadReply & { kind: 'loaded' }) {
    this.#reply = reply;
  }

  get [transferableSymbol](): object {
    return transferables(this.#reply.image);
  }

  get [valueSymbol](): object {
    return this.#reply;
  }
}

// Runs in: thread
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { LoadReply, LoadRequest } from '../src/adapters/outbound/sqlite/load-protocol.ts';
import { TableLoader } from '../src/adapters/outbound/sqlite/load-table.ts';
import { isDelta } from '../src/domain/table-delta.ts';
import { type TableImage, transferables } from '../src/domain/table-image.ts';

/** Lives as long as the thread, and so knows what the primary has, if it has what it was told last. */
const loader = new TableLoader();

/** The piscina task that loads the routing table: the columns of an image are moved to the primary, not copied. */
export default async function loadRoutingTable(request: LoadRequest): Promise<unknown> {
  const reply = await loader.load(request);
  if (reply.kind === 'failed' || isDelta(reply.content)) return reply;
  return move(new MovedReply(reply, reply.content));
}

class MovedReply {
  readonly #reply: LoadReply;
  readonly #image: TableImage;

  constructor(reply: LoadReply, image: TableImage) {
    this.#reply = reply;
    this.#image = image;
  }

  get [transferableSymbol](): object {
    return transferables(this.#image);
  }

  get [valueSymbol](): object {
    return this.#reply;
  }
}

// Runs in: primary
import type { FailedDial } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { Listener, RefusalReason } from '../domain/entities.ts';
import { NumberMap } from '../domain/number-map.ts';

/** A client without a slot, until its worker tells that it has turned it away. */
export interface RefusedClient {
  readonly listener: Listener;
  readonly address: ClientAddress;
  readonly reason: RefusalReason;
  readonly tried: readonly FailedDial[];
  readonly at: number;
}

/** Of one worker. It turns clients away within some ms; beyond this, those of a worker that dies are not counted. */
const MAX_REFUSED = 8192;

/** Clients who were refused and are not recorded yet: should their worker die first, the primary tells of them. */
export class RefusedClients {
  /** By worker, and by the seq of the pick. */
  readonly #workers = new Map<number, NumberMap<RefusedClient>>();

  join(incarnation: number): void {
    if (!this.#workers.has(incarnation)) this.#workers.set(incarnation, new NumberMap());
  }

  keep(incarnation: number, seq: number, client: RefusedClient): void {
    const clients = this.#workers.get(incarnation);
    if (clients !== undefined && clients.size < MAX_REFUSED) clients.set(seq, client);
  }

  forget(incarnation: number, seq: number): void {
    this.#workers.get(incarnation)?.delete(seq);
  }

  /** The worker is gone; its clients are the caller's. */
  leave(incarnation: number): NumberMap<RefusedClient> {
    const clients = this.#workers.get(incarnation);
    this.#workers.delete(incarnation);
    return clients ?? new NumberMap();
  }
}

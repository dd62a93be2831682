// Runs in: primary
import { type FailedDial, isToBlame, refusalAfter } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import { fillClientKey, hashClientKey } from '../domain/client-key.ts';
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import { geoInfoOf } from '../domain/countries.ts';
import type { Backend, ClientKey, GeoInfo, Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import type { RoutingTable } from '../domain/routing-table.ts';
import { isFull, type PickClient, servesApp } from '../domain/services/load-balancer.ts';
import type { RegionCode } from '../domain/value-objects.ts';
import type { BindingRef, BindingRepository } from './ports/binding-repository.ts';
import type { GeoResolver } from './ports/geo-resolver.ts';
import type { RoutingState } from './routing-state.ts';

export interface DecideInput {
  readonly routing: RoutingState;
  readonly ledger: ConnectionLedger;
  readonly bindings: BindingRepository;
  readonly geo: GeoResolver;
  readonly popRegion: RegionCode;
  /** Where a client whose bound backend just failed is moving to, or `''`: its other connections follow. */
  readonly movingTo: (binding: BindingRef) => string;
}

/** The client of a decision: what its binding is found by, and what the index looks at. */
class DecidedClient implements ClientKey, PickClient {
  app = '';
  family: 4 | 6 = 4;
  high = 0;
  low = 0;
  hash = 0;
  geo: GeoInfo | null = null;
}

/**
 * What becomes of a client. One object serves all: it is filled, read and acted on in one synchronous step, and the next
 * client's after that.
 */
export class Decision {
  readonly client = new DecidedClient();
  /** The client's live binding, or 0. */
  binding: BindingRef = 0;
  /** Which backend it gets, and its slot; `null`: it is refused. */
  backend: Backend | null = null;
  slot = -1;
  why: PickReason = 'picked';
  /** Why it is refused. */
  reason: RefusalReason = 'no_backend';
  /** A full backend stood in the way: had it had a slot, the answer were another. */
  passesFull = false;

  assign(backend: Backend, slot: number, why: PickReason): this {
    this.backend = backend;
    this.slot = slot;
    this.why = why;
    return this;
  }

  refuse(reason: RefusalReason): this {
    this.backend = null;
    this.slot = -1;
    this.reason = reason;
    return this;
  }
}

const NOBODY: readonly number[] = [];

/** What is known of where `address` is. A country without a region in our table counts as unknown. */
export function locate(geo: GeoResolver, address: ClientAddress): GeoInfo | null {
  return geoInfoOf(geo.country(address));
}

/** Whether a bound client may stay: its backend is there, up, and of the listener's app. Draining backends keep theirs. */
export function keepsBound(backend: Backend | undefined, app: string): backend is Backend {
  return backend?.healthy === true && !backend.deleted && servesApp(backend, app);
}

/**
 * Which backend a client gets now, and why. Changes nothing but `into`, so that `explain` gives the answer that a connection
 * would get; whoever acts on it does so in the same synchronous step, or the counts that it was made from are history.
 */
export function decideBackend(
  input: DecideInput,
  listener: Listener,
  address: ClientAddress,
  tried: readonly FailedDial[],
  now: number,
  into: Decision,
): Decision {
  const { routing, ledger, bindings } = input;
  const { table, index } = routing;
  const { app } = listener;
  const client = fillClientKey(into.client, app, address);
  const binding = bindings.find(client, now);
  const bound = binding === 0 ? '' : bindings.backendOf(binding);
  const failedBefore = tried.length > 0;
  client.geo = binding === 0 ? locate(input.geo, address) : geoInfoOf(bindings.countryOf(binding));
  into.binding = binding;
  into.passesFull = false;

  let why: PickReason = failedBefore ? 'retried' : 'picked';
  let unusable = failedBefore ? slotsOf(tried, table) : NOBODY;
  let passesFull = false;
  if (binding !== 0) {
    // A retry whose bound backend is the one that failed goes where the client's other connections are moving.
    const wanted = failedBefore && isToBlame(bound, tried) ? input.movingTo(binding) : bound;
    const slot = wanted === '' ? -1 : table.slotOf(wanted);
    const backend = slot < 0 ? undefined : table.backend(slot);
    if (keepsBound(backend, app) && !unusable.includes(slot)) {
      if (!isFull(ledger.connections(slot), backend))
        return into.assign(backend, slot, failedBefore ? 'retried' : 'bound');
      passesFull = true;
      if (wanted === bound) why = 'overflow';
      unusable = [...unusable, slot];
    } else if (!failedBefore) {
      why = 'rebound';
    }
  }

  client.hash = hashClientKey(client);
  const slot = index.pick(client, input.popRegion, unusable);
  into.passesFull = passesFull || index.passesFull(client, input.popRegion, unusable);
  if (slot >= 0) return into.assign(table.backend(slot), slot, why);
  return into.refuse(failedBefore ? refusalAfter(tried) : index.hasServing(app) ? 'all_full' : 'no_backend');
}

function slotsOf(tried: readonly FailedDial[], table: RoutingTable): readonly number[] {
  return tried.map(({ backend }) => table.slotOf(backend)).filter((slot) => slot >= 0);
}

// Runs in: primary
import { type FailedDial, isToBlame, refusalAfter } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import { clientKey, hashClientKey } from '../domain/client-key.ts';
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import { geoInfoOf } from '../domain/countries.ts';
import type { Backend, ClientKey, GeoInfo, Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import { isFull, servesApp } from '../domain/services/load-balancer.ts';
import type { RegionCode } from '../domain/value-objects.ts';
import type { BindingRef, BindingRepository } from './ports/binding-repository.ts';
import type { GeoResolver } from './ports/geo-resolver.ts';
import type { RoutingState } from './routing-state.ts';

export interface DecideInput {
  readonly routing: RoutingState;
  readonly ledger: ConnectionLedger<Lease>;
  readonly bindings: BindingRepository;
  readonly geo: GeoResolver;
  readonly popRegion: RegionCode;
  /** Where a client whose bound backend just failed is moving to, or `''`: its other connections follow. */
  readonly movingTo: (binding: BindingRef) => string;
}

export type Decision = {
  readonly key: ClientKey;
  /** The client's live binding, or 0. */
  readonly binding: BindingRef;
  readonly country: string | null;
  /** A full backend stood in the way: had it had a slot, the answer were another. */
  readonly passesFull: boolean;
} & (
  | { readonly kind: 'assign'; readonly backend: Backend; readonly slot: number; readonly why: PickReason }
  | { readonly kind: 'refuse'; readonly reason: RefusalReason }
);

/** What is known of where `address` is. A country without a region in our table counts as unknown. */
export function locate(geo: GeoResolver, address: ClientAddress): GeoInfo | null {
  return geoInfoOf(geo.country(address));
}

/** Whether a bound client may stay: its backend is there, up, and of the listener's app. Draining backends keep theirs. */
export function keepsBound(backend: Backend | undefined, app: string): backend is Backend {
  return backend?.healthy === true && !backend.deleted && servesApp(backend, app);
}

/**
 * Which backend a client gets now, and why. Changes nothing, so that `explain` gives the answer that a connection would
 * get; whoever acts on it does so in the same synchronous step, or the counts that it was made from are history.
 */
export function decideBackend(
  input: DecideInput,
  listener: Listener,
  address: ClientAddress,
  tried: readonly FailedDial[],
  now: number,
): Decision {
  const { routing, ledger, bindings } = input;
  const { table, index } = routing;
  const { app } = listener;
  const key = clientKey(app, address);
  const binding = bindings.find(key, now);
  const bound = binding === 0 ? '' : bindings.backendOf(binding);
  const failedBefore = tried.length > 0;
  const geo = binding === 0 ? locate(input.geo, address) : geoInfoOf(bindings.countryOf(binding));
  const country = geo?.country ?? null;

  let why: PickReason = failedBefore ? 'retried' : 'picked';
  let unusable = tried.map(({ backend }) => table.slotOf(backend)).filter((slot) => slot >= 0);
  let passesFull = false;
  if (binding !== 0) {
    // A retry whose bound backend is the one that failed goes where the client's other connections are moving.
    const wanted = isToBlame(bound, tried) ? input.movingTo(binding) : bound;
    const slot = wanted === '' ? -1 : table.slotOf(wanted);
    const backend = slot < 0 ? undefined : table.backend(slot);
    if (keepsBound(backend, app) && !unusable.includes(slot)) {
      if (!isFull(ledger.connections(slot), backend)) {
        const reason = failedBefore ? 'retried' : 'bound';
        return { kind: 'assign', backend, slot, why: reason, key, binding, country, passesFull: false };
      }
      passesFull = true;
      if (wanted === bound) why = 'overflow';
      unusable = [...unusable, slot];
    } else if (!failedBefore) {
      why = 'rebound';
    }
  }

  const client = { app, hash: hashClientKey(key), geo };
  const slot = index.pick(client, input.popRegion, unusable);
  passesFull ||= index.passesFull(client, input.popRegion, unusable);
  if (slot >= 0) return { kind: 'assign', backend: table.backend(slot), slot, why, key, binding, country, passesFull };
  const reason = failedBefore ? refusalAfter(tried) : index.hasServing(app) ? 'all_full' : 'no_backend';
  return { kind: 'refuse', reason, key, binding, country, passesFull };
}

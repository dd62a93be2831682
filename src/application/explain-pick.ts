// Runs in: primary
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import type { ClientAddress, GeoInfo, Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import {
  type ExclusionReason,
  exclusion,
  loadTerm,
  preferredRegion,
  type Tier,
  tierOf,
} from '../domain/services/load-balancer.ts';
import type { RegionCode } from '../domain/value-objects.ts';
import { locate } from './decide-backend.ts';
import type { BindingRepository } from './ports/binding-repository.ts';
import type { Clock } from './ports/clock.ts';
import type { GeoResolver } from './ports/geo-resolver.ts';
import type { ProxyService } from './proxy-service.ts';
import type { RoutingState } from './routing-state.ts';
import { type BackendRow, backendRow } from './view-backends.ts';

export interface ExplainInput {
  readonly service: ProxyService;
  readonly routing: RoutingState;
  readonly ledger: ConnectionLedger<Lease>;
  readonly bindings: BindingRepository;
  readonly geo: GeoResolver;
  readonly popRegion: RegionCode;
  readonly clock: Clock;
}

export interface ExplainedCandidate extends BackendRow {
  readonly connections: number;
  readonly tier: Tier;
  /** Connections / soft limit / weight; `null` for weight 0, which has no quotient. */
  readonly load: number | null;
  /** `tier * 100 + load`; `null` with it. */
  readonly score: number | null;
  /** `null`: it may be picked. */
  readonly excluded: ExclusionReason | null;
}

export interface Explanation {
  readonly client: string;
  readonly listener: Listener;
  readonly geo: GeoInfo | null;
  readonly popRegion: RegionCode;
  /** The region that counts as the client's own: a neighbour, when its own has no backend that serves. */
  readonly preferredRegion: RegionCode | null;
  readonly routingVersion: number;
  readonly binding: {
    readonly backend: string;
    readonly ageMs: number;
    readonly idleMs: number;
    readonly openConnections: number;
  } | null;
  readonly choice:
    | { readonly backend: string; readonly why: PickReason }
    | { readonly backend: null; readonly why: RefusalReason };
  /** Best first: by tier, then load; those that are excluded come last. */
  readonly candidates: readonly ExplainedCandidate[];
}

/**
 * What a connection of `address` to `listener` would get now, and how every backend fared. Changes nothing. The choice
 * comes from the code that decides for connections; the candidates show the terms that it went by.
 */
export function explainPick(input: ExplainInput, listener: Listener, address: ClientAddress): Explanation {
  const { routing, ledger, bindings, popRegion } = input;
  const { table } = routing;
  const now = input.clock.now();
  const decision = input.service.decide(listener, address, [], now);
  const geo = locate(input.geo, address);
  const preferred = preferredRegion(geo, (region) => table.hasServing(listener.app, region));

  const candidates: ExplainedCandidate[] = [];
  for (let slot = 0; slot < table.size; slot++) {
    const backend = table.backend(slot);
    const connections = ledger.connections(backend.id);
    const tier = tierOf(backend, geo?.country ?? null, preferred, popRegion);
    const load = backend.weight === 0 ? null : loadTerm(connections, backend);
    const score = load === null ? null : tier * 100 + load;
    candidates.push({
      ...backendRow(backend),
      connections,
      tier,
      load,
      score,
      excluded: exclusion(backend, listener.app, connections, []),
    });
  }
  candidates.sort(
    (a, b) =>
      Number(a.excluded !== null) - Number(b.excluded !== null) || a.tier - b.tier || (a.load ?? 0) - (b.load ?? 0),
  );

  const { binding } = decision;
  const openConnections = binding === 0 ? 0 : bindings.openConnections(binding);
  return {
    client: address.text,
    listener,
    geo,
    popRegion,
    preferredRegion: preferred,
    routingVersion: table.version,
    binding:
      binding === 0
        ? null
        : {
            backend: bindings.backendOf(binding),
            ageMs: now - bindings.createdAt(binding),
            idleMs: openConnections > 0 ? 0 : now - bindings.lastSeenAt(binding),
            openConnections,
          },
    choice:
      decision.kind === 'assign'
        ? { backend: decision.backend.id, why: decision.why }
        : { backend: null, why: decision.reason },
    candidates,
  };
}

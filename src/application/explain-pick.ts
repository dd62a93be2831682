// Runs in: primary

import type { ClientAddress } from '../domain/client-address.ts';
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import type { GeoInfo, Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import { LeastFew } from '../domain/least-few.ts';
import type { RoutingTable } from '../domain/routing-table.ts';
import {
  type ExclusionReason,
  exclusion,
  loadTerm,
  preferredRegion,
  type Tier,
  tierOf,
} from '../domain/services/load-balancer.ts';
import type { RegionCode } from '../domain/value-objects.ts';
import { EdgeError } from '../errors.ts';
import { locate } from './decide-backend.ts';
import { inSlices, sharedTurn, type Turn } from './in-slices.ts';
import type { BindingRepository } from './ports/binding-repository.ts';
import type { Clock } from './ports/clock.ts';
import type { GeoResolver } from './ports/geo-resolver.ts';
import type { ProxyService } from './proxy-service.ts';
import type { RoutingState } from './routing-state.ts';
import { type BackendRow, backendRow, fits, type RowFilter, SLICE_ENTRIES } from './view-backends.ts';

export interface ExplainInput {
  readonly service: ProxyService;
  readonly routing: RoutingState;
  readonly ledger: ConnectionLedger;
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

export interface ExplainQuery extends RowFilter {
  /** Candidates of a page, >= 1. */
  readonly limit: number;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
}

export interface Explanation<Candidates extends Iterable<ExplainedCandidate> = Iterable<ExplainedCandidate>> {
  readonly client: string;
  readonly listener: Listener;
  readonly geo: GeoInfo | null;
  readonly popRegion: RegionCode;
  /** The region that counts as the client's own: a neighbour, when its own has no backend that serves. */
  readonly preferredRegion: RegionCode | null;
  readonly routingVersion: number;
  readonly binding: {
    readonly backend: string;
    /** Since when the client is bound to this backend; it may have been bound to another before. */
    readonly ageMs: number;
    readonly idleMs: number;
    /** Of the client, wherever they are: those from before a move may be elsewhere. */
    readonly openConnections: number;
  } | null;
  readonly choice:
    | { readonly backend: string; readonly why: PickReason }
    | { readonly backend: null; readonly why: RefusalReason };
  /** Candidates that fit the query, on all pages. */
  readonly total: number;
  /** Those that come behind this page. */
  readonly omitted: number;
  /** What to ask for as `after` to get the next page; `null`: this was the last one. */
  readonly next: string | null;
  /** Best first: by tier, then load, then id; those that are excluded come last. */
  readonly candidates: Candidates;
}

/** Where a candidate stands among the others, and what that was made of. */
interface Ranked {
  readonly slot: number;
  readonly id: string;
  readonly connections: number;
  readonly tier: Tier;
  readonly load: number | null;
  readonly excluded: ExclusionReason | null;
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };
type Rank = Pick<Ranked, 'id' | 'tier' | 'load'> & { readonly excluded: unknown };

/** What the terms of the candidates are made of, for one client. */
interface Terms {
  readonly table: RoutingTable;
  readonly ledger: ConnectionLedger;
  readonly app: string;
  readonly country: string | null;
  readonly preferred: RegionCode | null;
  readonly popRegion: RegionCode;
}

/**
 * What a connection of `address` to `listener` would get now, and how every backend fared. Changes nothing. The choice
 * comes from the code that decides for connections, in one step; the candidates show the terms that it went by. They are
 * of one version of the table, looked at in slices: counts of connections may move by a few between the first and the
 * last, and between one page and the next, for which a candidate that moved may be on both or on neither.
 * @throws EDGE_ERR_USAGE for an `after` that no page gave
 */
export async function explainPick(
  input: ExplainInput,
  listener: Listener,
  address: ClientAddress,
  query: ExplainQuery,
  turn: Turn = sharedTurn,
): Promise<Explanation> {
  const { routing, ledger, bindings, popRegion } = input;
  const { table, index } = routing;
  const after = query.after === undefined ? null : parseCursor(query.after);
  const now = input.clock.now();
  const decision = input.service.decide(listener, address, [], now);
  const geo = locate(input.geo, address);
  const preferred = preferredRegion(geo, (region) => index.hasServing(listener.app, region));
  const { binding } = decision;
  const openConnections = binding === 0 ? 0 : bindings.openConnections(binding);
  const answer = {
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
            ageMs: now - bindings.boundAt(binding),
            idleMs: openConnections > 0 ? 0 : now - bindings.lastSeenAt(binding),
            openConnections,
          },
    choice:
      decision.backend === null
        ? { backend: null, why: decision.reason }
        : { backend: decision.backend.id, why: decision.why },
  };
  const terms = { table, ledger, app: listener.app, country: geo?.country ?? null, preferred, popRegion };
  const { ranked, total, behind } = await inSlices(rankPage(terms, query, after), turn);
  const omitted = behind - ranked.length;
  const next = omitted > 0 ? formatCursor(ranked.at(-1)!) : null;
  return { ...answer, total, omitted, next, candidates: explained(table, ranked) };
}

function* rankPage(
  terms: Terms,
  query: ExplainQuery,
  after: Rank | null,
): Generator<void, { ranked: Ranked[]; total: number; behind: number }> {
  const { table } = terms;
  const best = new LeastFew<Ranked>(query.limit, compareRanks);
  let total = 0;
  let behind = 0;
  // One for all: of 100,000 few are kept, and the others would be garbage.
  const candidate: Writable<Ranked> = { slot: 0, id: '', connections: 0, tier: 0, load: null, excluded: null };
  let seen = 0;
  for (const slot of table.slotsBehind()) {
    if (++seen % SLICE_ENTRIES === 0) yield;
    if (!fits(table.backend(slot), query)) continue;
    total++;
    rank(terms, slot, candidate);
    if (after !== null && compareRanks(candidate, after) <= 0) continue;
    behind++;
    if (best.takes(candidate)) best.offer({ ...candidate });
  }
  yield;
  return { ranked: yield* best.takeAscending(), total, behind };
}

function rank(terms: Terms, slot: number, into: Writable<Ranked>): void {
  const { table, ledger, app, country, preferred, popRegion } = terms;
  const backend = table.backend(slot);
  const connections = ledger.connectionsOf(backend.id);
  into.slot = slot;
  into.id = backend.id;
  into.connections = connections;
  into.tier = tierOf(backend, country, preferred, popRegion);
  into.load = backend.weight === 0 ? null : loadTerm(connections, backend);
  into.excluded = exclusion(backend, app, connections, []);
}

function compareRanks(a: Rank, b: Rank): number {
  return (
    Number(a.excluded !== null) - Number(b.excluded !== null) ||
    a.tier - b.tier ||
    (a.load ?? 0) - (b.load ?? 0) ||
    (a.id === b.id ? 0 : a.id < b.id ? -1 : 1)
  );
}

function* explained(table: RoutingTable, ranked: readonly Ranked[]): Generator<ExplainedCandidate> {
  for (const { slot, connections, tier, load, excluded } of ranked) {
    const score = load === null ? null : tier * 100 + load;
    yield { ...backendRow(table.backend(slot)), connections, tier, load, score, excluded };
  }
}

/** A rank as text, exactly: a page that begins behind it has neither a gap nor a double where the counts stood still. */
function formatCursor({ excluded, tier, load, id }: Ranked): string {
  return `${excluded === null ? 0 : 1}:${tier}:${load ?? 0}:${id}`;
}

function parseCursor(text: string): Rank {
  const [, excluded, tier, load = '', id = ''] = /^([01]):([0-3]):([0-9.e+-]{1,25}):(.*)$/s.exec(text) ?? [];
  if (excluded === undefined || !Number.isFinite(Number(load)))
    throw new EdgeError('EDGE_ERR_USAGE', 'after: give what the page before named as "next"');
  return { excluded: excluded === '1' ? true : null, tier: Number(tier) as Tier, load: Number(load), id };
}

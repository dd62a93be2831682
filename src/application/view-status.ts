// Runs in: primary
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import type { Listener, RefusalReason } from '../domain/entities.ts';
import { sharedTurn, type Turn } from './in-slices.ts';
import type { Readiness } from './readiness.ts';
import type { RoutingAge } from './reload-routing.ts';
import type { RoutingState } from './routing-state.ts';
import { type BackendsSummary, summarizeBackends } from './summarize-backends.ts';
import type { WorkerView } from './worker-views.ts';

/** What does not change while the proxy runs. */
export interface StatusIdentity {
  /** Of edgeProxy. */
  readonly version: string;
  readonly node: string;
  readonly engine: string;
  readonly engineReason: string;
  readonly pid: number;
  readonly region: string;
  /** With the ports as bound. */
  readonly listeners: readonly Listener[];
  /** Every variable as it is in force; secrets are not shown. `source`: who said so. */
  readonly configuration: Readonly<
    Record<string, { readonly value: string; readonly source: 'environment' | 'default' }>
  >;
}

/** Asked anew each time. */
export interface StatusSources {
  readonly identity: () => StatusIdentity;
  /** `127.0.0.1:8081`, `unix:/path`. */
  readonly admin: () => string;
  readonly uptimeMs: () => number;
  readonly readiness: () => Readiness;
  readonly workers: () => readonly WorkerView[];
  readonly routing: RoutingState;
  readonly ledger: ConnectionLedger;
  readonly routingAge: () => RoutingAge;
  /** Absolute, symbolic links resolved as far as there is a file. */
  readonly databasePath: () => Promise<string>;
  readonly accepted: () => number;
  /** Every reason, those that never came to pass as 0. */
  readonly refusals: () => Readonly<Record<RefusalReason, number>>;
  readonly geoip: () => GeoipStatus;
  readonly bindings: () => BindingsStatus;
}

export interface GeoipStatus {
  readonly path: string;
  /** It is the database that comes with edgeProxy. */
  readonly bundled: boolean;
  /** Since the database was built; `null`: it does not say. */
  readonly ageSeconds: number | null;
}

export interface BindingsStatus {
  readonly count: number;
  readonly max: number;
  readonly evicted: number;
  readonly ttlMs: number;
}

/** How the proxy stands, in one answer: what `edgeproxy status` shows on one screen. */
export interface Status extends StatusIdentity {
  readonly admin: string;
  readonly uptimeMs: number;
  readonly readiness: { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly workers: Readiness['workers'] & { readonly list: readonly WorkerView[] };
  readonly routing: Readiness['routing'] & RoutingAge & { readonly path: string };
  readonly backends: BackendsSummary;
  readonly connections: {
    /** Slots held now. */
    readonly active: number;
    /** Clients that came since the start, refused ones included. */
    readonly accepted: number;
    readonly refused: Readonly<Record<RefusalReason, number>>;
  };
  readonly geoip: GeoipStatus;
  readonly bindings: BindingsStatus;
}

/** `busiest`: how many backends are shown one by one. */
export async function viewStatus(sources: StatusSources, busiest: number, turn: Turn = sharedTurn): Promise<Status> {
  const path = await sources.databasePath();
  const backends = await summarizeBackends(sources.routing, sources.ledger, busiest, turn);
  const { ready, reasons, routing, workers } = sources.readiness();
  return {
    ...sources.identity(),
    admin: sources.admin(),
    uptimeMs: sources.uptimeMs(),
    readiness: { ready, reasons },
    workers: { ...workers, list: sources.workers() },
    routing: { ...routing, ...sources.routingAge(), path },
    backends,
    connections: { active: sources.ledger.total, accepted: sources.accepted(), refused: sources.refusals() },
    geoip: sources.geoip(),
    bindings: sources.bindings(),
  };
}

// Runs in: primary
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import type { Backend } from '../domain/entities.ts';
import type { RoutingTable } from '../domain/routing-table.ts';
import { isFull } from '../domain/services/load-balancer.ts';

export const BACKEND_STATES = [
  /** takes new clients */
  'serving',
  /** over its soft limit; takes new clients when it is still the best */
  'busy',
  'full',
  /** weight 0, or deleted with connections left: keeps what it has */
  'draining',
  'unhealthy',
  'deleted',
  /** no longer in the table, with connections left; only its id is known */
  'gone',
] as const;

export type BackendState = (typeof BACKEND_STATES)[number];

/** A backend under the names of the database's columns, as operators know it. */
export interface BackendRow {
  readonly id: string;
  readonly app: string;
  readonly region: string;
  readonly country: string | null;
  readonly wg_ip: string;
  readonly port: number;
  readonly healthy: boolean;
  readonly weight: number;
  readonly soft_limit: number;
  readonly hard_limit: number;
  readonly deleted: boolean;
}

export function backendRow(backend: Backend): BackendRow {
  const { id, app, region, country, host, port, healthy, weight, softLimit, hardLimit, deleted } = backend;
  return {
    id,
    app,
    region,
    country,
    wg_ip: host,
    port,
    healthy,
    weight,
    soft_limit: softLimit,
    hard_limit: hardLimit,
    deleted,
  };
}

export type BackendView = (BackendRow | { readonly id: string }) & {
  /** Slots held now, connecting ones included. */
  readonly connections: number;
  readonly state: BackendState;
};

/** All that are given must fit. */
export interface RowFilter {
  readonly id?: string | undefined;
  readonly app?: string | undefined;
  readonly region?: string | undefined;
}

export interface BackendFilter extends RowFilter {
  readonly state?: BackendState | undefined;
}

export function fits(backend: Backend, { id, app, region }: RowFilter): boolean {
  return (
    (id === undefined || backend.id === id) &&
    (app === undefined || backend.app === app) &&
    (region === undefined || backend.region === region)
  );
}

/** A row of the table by its slot, or by its id a backend whose row is gone and that still holds connections. */
export type Entry = number | string;

/** Entries that are looked at before a work yields: a fraction of a millisecond. */
export const SLICE_ENTRIES = 500;

/** The views of every backend, of one version of the table, in ascending order of id. */
export class BackendViews {
  readonly #table: RoutingTable;
  readonly #ledger: ConnectionLedger;

  constructor(table: RoutingTable, ledger: ConnectionLedger) {
    this.#table = table;
    this.#ledger = ledger;
  }

  /** Ascending. */
  *gone(): Generator<void, string[]> {
    const gone: string[] = [];
    let seen = 0;
    for (const [id] of this.#ledger.counts()) {
      if (this.#table.slotOf(id) < 0) gone.push(id);
      if (++seen % SLICE_ENTRIES === 0) yield;
    }
    // One that was let go and came back between two slices may have been met twice.
    return [...new Set(gone)].sort();
  }

  /** From `after` on, exclusive. */
  *entries(gone: readonly string[], after: string | undefined): Generator<Entry, void> {
    const left = gone.filter((id) => after === undefined || id > after);
    let at = 0;
    for (const slot of this.#table.slotsBehind(after)) {
      while (at < left.length && left[at]! < this.#table.backend(slot).id) yield left[at++]!;
      yield slot;
    }
    while (at < left.length) yield left[at++]!;
  }

  *views(entries: Iterable<Entry>): Generator<BackendView> {
    for (const entry of entries) yield this.view(entry);
  }

  view(entry: Entry): BackendView {
    if (typeof entry === 'string') return { id: entry, connections: this.#ledger.connectionsOf(entry), state: 'gone' };
    const backend = this.#table.backend(entry);
    const connections = this.#ledger.connectionsOf(backend.id);
    return { ...backendRow(backend), connections, state: stateOf(backend, connections) };
  }

  /** One whose row is gone has an id and a state, and nothing else that a filter could fit. */
  fits(entry: Entry, filter: BackendFilter): boolean {
    const { id, app, region, state } = filter;
    if (typeof entry === 'string')
      return (id ?? entry) === entry && app === undefined && region === undefined && (state ?? 'gone') === 'gone';
    const backend = this.#table.backend(entry);
    if (!fits(backend, filter)) return false;
    return state === undefined || state === stateOf(backend, this.#ledger.connectionsOf(backend.id));
  }

  idOf(entry: Entry): string {
    return typeof entry === 'string' ? entry : this.#table.backend(entry).id;
  }

  connectionsOf(entry: Entry): number {
    return this.#ledger.connectionsOf(this.idOf(entry));
  }

  stateOf(entry: Entry): BackendState {
    if (typeof entry === 'string') return 'gone';
    const backend = this.#table.backend(entry);
    return stateOf(backend, this.#ledger.connectionsOf(backend.id));
  }
}

function stateOf(backend: Backend, connections: number): BackendState {
  if (backend.deleted) return connections > 0 ? 'draining' : 'deleted';
  if (!backend.healthy) return 'unhealthy';
  if (backend.weight === 0) return 'draining';
  if (isFull(connections, backend)) return 'full';
  return backend.softLimit > 0 && connections > backend.softLimit ? 'busy' : 'serving';
}

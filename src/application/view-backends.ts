// Runs in: primary
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import type { Backend } from '../domain/entities.ts';
import { isFull } from '../domain/services/load-balancer.ts';
import type { RoutingState } from './routing-state.ts';

export type BackendState =
  /** takes new clients */
  | 'serving'
  /** over its soft limit; takes new clients when it is still the best */
  | 'busy'
  | 'full'
  /** weight 0, or deleted with connections left: keeps what it has */
  | 'draining'
  | 'unhealthy'
  | 'deleted'
  /** no longer in the table, with connections left; only its id is known */
  | 'gone';

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

/** Every row of the table, and every backend that still holds connections though its row is gone. */
export function viewBackends(routing: RoutingState, ledger: ConnectionLedger<Lease>): BackendView[] {
  const { table } = routing;
  const views: BackendView[] = [];
  for (let slot = 0; slot < table.size; slot++) {
    const backend = table.backend(slot);
    const connections = ledger.connections(backend.id);
    views.push({ ...backendRow(backend), connections, state: stateOf(backend, connections) });
  }
  for (const [id, connections] of ledger.counts()) {
    if (table.slotOf(id) < 0) views.push({ id, connections, state: 'gone' });
  }
  return views;
}

function stateOf(backend: Backend, connections: number): BackendState {
  if (backend.deleted) return connections > 0 ? 'draining' : 'deleted';
  if (!backend.healthy) return 'unhealthy';
  if (backend.weight === 0) return 'draining';
  if (isFull(connections, backend)) return 'full';
  return backend.softLimit > 0 && connections > backend.softLimit ? 'busy' : 'serving';
}

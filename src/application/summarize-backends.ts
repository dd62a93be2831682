// Runs in: primary
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import { LeastFew } from '../domain/least-few.ts';
import { inSlices, sharedTurn, type Turn } from './in-slices.ts';
import type { RoutingState } from './routing-state.ts';
import { type BackendState, type BackendView, BackendViews, type Entry, SLICE_ENTRIES } from './view-backends.ts';

/** What of all backends fits on a screen. */
export interface BackendsSummary {
  readonly total: number;
  readonly states: Readonly<Record<BackendState, number>>;
  /** Those with most connections first, then by id. */
  readonly busiest: readonly BackendView[];
}

/** `first`: how many of the busiest are wanted. */
export async function summarizeBackends(
  routing: RoutingState,
  ledger: ConnectionLedger,
  first: number,
  turn: Turn = sharedTurn,
): Promise<BackendsSummary> {
  const views = new BackendViews(routing.table, ledger);
  return inSlices(summarize(views, first), turn);
}

function* summarize(views: BackendViews, limit: number): Generator<void, BackendsSummary> {
  const states = { serving: 0, busy: 0, full: 0, draining: 0, unhealthy: 0, deleted: 0, gone: 0 };
  const busiest = new LeastFew<{ entry: Entry; connections: number; seen: number }>(
    limit,
    (a, b) => b.connections - a.connections || a.seen - b.seen,
  );
  let total = 0;
  for (const entry of views.entries(yield* views.gone(), undefined)) {
    states[views.stateOf(entry)]++;
    busiest.offer({ entry, connections: views.connectionsOf(entry), seen: total });
    if (++total % SLICE_ENTRIES === 0) yield;
  }
  const first = yield* busiest.takeAscending();
  return { total, states, busiest: first.map(({ entry }) => views.view(entry)) };
}

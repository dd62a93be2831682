// Runs in: primary
import type { ConnectionLedger } from '../domain/connection-ledger.ts';
import { inSlices, sharedTurn, type Turn } from './in-slices.ts';
import type { RoutingState } from './routing-state.ts';
import { type BackendFilter, type BackendView, BackendViews, type Entry, SLICE_ENTRIES } from './view-backends.ts';

export interface BackendsQuery extends BackendFilter {
  /** Rows of a page, >= 1. */
  readonly limit: number;
  /** The page begins behind this id, whether there is such a backend or not. */
  readonly after?: string | undefined;
}

export interface BackendPage {
  /** Of the routing table that the page was read from, whatever was loaded meanwhile. */
  readonly version: number;
  /** Backends that fit, on all pages. */
  readonly total: number;
  /** What to ask for as `after` to get the next page; `null`: this was the last one. */
  readonly next: string | null;
  /** In ascending order of id. Made as it is read, with the counts of that moment. */
  readonly backends: Iterable<BackendView>;
}

/**
 * A page of the rows of the table and of the backends that hold connections though their row is gone. Pages are named by
 * ids and so survive a reload: one that is asked for after it begins behind the same id, in the new table.
 */
export async function pageOfBackends(
  routing: RoutingState,
  ledger: ConnectionLedger,
  query: BackendsQuery,
  turn: Turn = sharedTurn,
): Promise<BackendPage> {
  const { table } = routing;
  const views = new BackendViews(table, ledger);
  const page = await inSlices(selectPage(views, table.size, query), turn);
  const { total, entries, more } = page;
  const next = more ? views.idOf(entries.at(-1)!) : null;
  return { version: table.version, total, next, backends: views.views(entries) };
}

function* selectPage(
  views: BackendViews,
  rows: number,
  query: BackendsQuery,
): Generator<void, { total: number; entries: Entry[]; more: boolean }> {
  const { id, app, region, state, after, limit } = query;
  const gone = yield* views.gone();
  const filtered = [id, app, region, state].some((wanted) => wanted !== undefined);
  let total = filtered ? 0 : rows + gone.length;
  let behind = 0;
  let seen = 0;
  const entries: Entry[] = [];
  // Without a filter the number is known, and what lies before and behind the page need not be looked at.
  for (const entry of views.entries(gone, filtered ? undefined : after)) {
    if (++seen % SLICE_ENTRIES === 0) yield;
    if (filtered) {
      if (!views.fits(entry, query)) continue;
      total++;
      if (after !== undefined && views.idOf(entry) <= after) continue;
    }
    behind++;
    if (entries.length < limit) entries.push(entry);
    else if (!filtered) break;
  }
  return { total, entries, more: behind > entries.length };
}

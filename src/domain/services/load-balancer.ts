import type { Backend, GeoInfo } from '../entities.ts';
import { hashPair, hashText } from '../hash.ts';
import type { CountryCode, RegionCode } from '../value-objects.ts';
import { regionAndNeighbours } from '../value-objects.ts';

/**
 * The rules of a pick, written as the formula says them:
 *
 *     score = tier * 100 + connections / max(soft_limit, 1) / weight          lowest wins
 *
 * Tiers never cross, however overloaded a backend is: candidates are compared by tier, then by load, then by the tie
 * break. Below a load of 100 that is the order of the score itself. `scanPick` is the definition; `PickIndex` finds the
 * same answer without looking at every backend.
 */

/** 0 the client's country, 1 its region (or that region's neighbour), 2 the POP's own region, 3 elsewhere. */
export type Tier = 0 | 1 | 2 | 3;

export const TIERS = 4;

/** How many of the backends that tie compete for a client; see `tieBreak`. */
export const TIE_WINDOW = 32;

export type ExclusionReason =
  | 'other_app'
  | 'deleted'
  | 'unhealthy'
  /** weight 0: it keeps the clients that it has and takes no new ones */
  | 'draining'
  | 'at_hard_limit'
  /** it was tried for this connection and failed */
  | 'tried';

/** What of a client decides. */
export interface PickClient {
  /** The listener's app; `''` takes backends of every app. */
  readonly app: string;
  /** `hashClientKey`: unsigned 32 bits. */
  readonly hash: number;
  /** `null`: unknown, so no preference: tiers 2 and 3 decide. */
  readonly geo: GeoInfo | null;
}

/** Connections (held and connecting) over what the backend carries comfortably, over its weight. */
export function loadTerm(connections: number, backend: Pick<Backend, 'softLimit' | 'weight'>): number {
  return connections / Math.max(backend.softLimit, 1) / backend.weight;
}

export function isFull(connections: number, backend: Pick<Backend, 'hardLimit'>): boolean {
  return backend.hardLimit > 0 && connections >= backend.hardLimit;
}

export function servesApp(backend: Pick<Backend, 'app'>, app: string): boolean {
  return app === '' || backend.app === app;
}

/** Why `backend` may not be picked for a first connection now, or `null`. */
export function exclusion(
  backend: Backend,
  app: string,
  connections: number,
  tried: readonly string[],
): ExclusionReason | null {
  if (!servesApp(backend, app)) return 'other_app';
  if (backend.deleted) return 'deleted';
  if (!backend.healthy) return 'unhealthy';
  if (backend.weight === 0) return 'draining';
  if (tried.includes(backend.id)) return 'tried';
  return isFull(connections, backend) ? 'at_hard_limit' : null;
}

/**
 * The region whose backends are tier 1 for a client: its own, or, when that has no backend that serves, the first of its
 * neighbours that has one. Full backends serve: being full does not send a region's clients across an ocean.
 */
export function preferredRegion(geo: GeoInfo | null, hasServing: (region: RegionCode) => boolean): RegionCode | null {
  return geo === null ? null : (regionAndNeighbours(geo.region).find(hasServing) ?? null);
}

export function tierOf(
  backend: Pick<Backend, 'country' | 'region'>,
  country: CountryCode | null,
  preferred: RegionCode | null,
  popRegion: RegionCode,
): Tier {
  if (country !== null && backend.country === country) return 0;
  if (backend.region === preferred) return 1;
  return backend.region === popRegion ? 2 : 3;
}

/**
 * The order among equals, by rendezvous hashing (Thaler and Ravishankar, 1998): each of them draws a number from (client,
 * backend) and the lowest wins, so equal backends share first clients evenly and a client prefers the same one for as
 * long as it is there. When more than TIE_WINDOW are equal, the TIE_WINDOW that follow the client on the ring of
 * backend hashes draw: a bounded price, and each backend still is in as many windows as the others, give or take a sixth.
 */
export function tieBreak(clientHash: number, ringHash: number): number {
  return hashPair(clientHash, ringHash);
}

/** Where a backend lies on the ring, seen from the client: unsigned 32 bits, 0 is at the client. */
export function ringDistance(clientHash: number, ringHash: number): number {
  return (ringHash - clientHash) >>> 0;
}

/** The rows as the plain scan reads them, by slot. */
export type ScanRows = ReadonlyMap<number, Backend>;

/** The definition of a pick: looks at every backend. Returns the slot, or -1 when none may serve. `tried` are ids. */
export function scanPick(
  rows: ScanRows,
  connections: (slot: number) => number,
  client: PickClient,
  popRegion: RegionCode,
  tried: readonly string[],
): number {
  const servingRegions = new Set(
    [...rows.values()]
      .filter((row) => exclusion({ ...row, hardLimit: 0 }, client.app, 0, []) === null)
      .map((row) => row.region),
  );
  const preferred = preferredRegion(client.geo, (region) => servingRegions.has(region));
  const country = client.geo?.country ?? null;

  const candidates = [...rows]
    .filter(([slot, row]) => exclusion(row, client.app, connections(slot), tried) === null)
    .map(([slot, row]) => ({
      slot,
      id: row.id,
      distance: ringDistance(client.hash, hashText(row.id)),
      draw: tieBreak(client.hash, hashText(row.id)),
      tier: tierOf(row, country, preferred, popRegion),
      load: loadTerm(connections(slot), row),
    }))
    .sort((a, b) => a.tier - b.tier || a.load - b.load);
  const best = candidates[0];
  if (best === undefined) return -1;

  const winner = candidates
    .filter(({ tier, load }) => tier === best.tier && load === best.load)
    .sort((a, b) => a.distance - b.distance || (a.id < b.id ? -1 : 1))
    .slice(0, TIE_WINDOW)
    .reduce((first, next) => (next.draw < first.draw ? next : first));
  return winner.slot;
}

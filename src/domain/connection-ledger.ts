import { NumberMap } from './number-map.ts';

/** One slot of one backend, held for one attempt of one connection. */
export interface Lease {
  readonly backendId: string;
}

/** What one worker holds: its leases, and how many of each backend's. */
interface Holder<L extends Lease> {
  readonly leases: NumberMap<L>;
  readonly counts: Map<string, number>;
}

/**
 * The exact books: who holds which slot. Counts change here and nowhere else, always together with the lease that
 * they count, so that at any instant a backend's count is the number of its leases.
 *
 * A lease is named by the worker incarnation that holds it and the worker's own sequence number, so everything that a
 * dead worker held is found at once, and a report that arrives twice, or after its worker was written off, finds nothing.
 */
export class ConnectionLedger<L extends Lease> {
  readonly #holders = new Map<number, Holder<L>>();
  readonly #counts = new Map<string, number>();
  readonly #watchers = new Set<(backendId: string, connections: number) => void>();
  #total = 0;

  /** Leases held, over all backends. */
  get total(): number {
    return this.#total;
  }

  connections(backendId: string): number {
    return this.#counts.get(backendId) ?? 0;
  }

  /** Backends with at least one lease, and how many. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  heldBy(incarnation: number): number {
    return this.#holders.get(incarnation)?.leases.size ?? 0;
  }

  /** Tells `watcher` of every change of a count, at once, until the returned function is called. */
  watch(watcher: (backendId: string, connections: number) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** From now on `incarnation` may hold leases. */
  admit(incarnation: number): void {
    if (!this.#holders.has(incarnation)) this.#holders.set(incarnation, { leases: new NumberMap(), counts: new Map() });
  }

  /** Whether the worker may reserve under `seq`: it is admitted, and holds nothing under that number yet. */
  mayReserve(incarnation: number, seq: number): boolean {
    const holder = this.#holders.get(incarnation);
    return holder !== undefined && !holder.leases.has(seq);
  }

  /** Takes a slot. The caller has asked `mayReserve`, and checked the hard limit, in the same synchronous step. */
  reserve(incarnation: number, seq: number, lease: L): void {
    const holder = this.#holders.get(incarnation);
    if (holder === undefined || holder.leases.has(seq))
      throw new Error(`lease ${incarnation}/${seq} may not be reserved`);
    holder.leases.set(seq, lease);
    add(holder.counts, lease.backendId, 1);
    this.#count(lease.backendId, 1);
  }

  find(incarnation: number, seq: number): L | undefined {
    return this.#holders.get(incarnation)?.leases.get(seq);
  }

  /** Gives a slot back; `undefined` when there is no such lease, and then nothing changed. */
  release(incarnation: number, seq: number): L | undefined {
    const holder = this.#holders.get(incarnation);
    const lease = holder?.leases.delete(seq);
    if (holder === undefined || lease === undefined) return undefined;
    add(holder.counts, lease.backendId, -1);
    this.#count(lease.backendId, -1);
    return lease;
  }

  /**
   * Gives back everything that a dead worker held, in a time of its backends, not of its connections; from now on nothing
   * can be reserved for it. The leases are the caller's.
   */
  releaseAll(incarnation: number): NumberMap<L> {
    const holder = this.#holders.get(incarnation);
    if (holder === undefined) return new NumberMap();
    this.#holders.delete(incarnation);
    for (const [backendId, connections] of holder.counts) this.#count(backendId, -connections);
    return holder.leases;
  }

  #count(backendId: string, change: number): void {
    const connections = add(this.#counts, backendId, change);
    this.#total += change;
    for (const watcher of this.#watchers) watcher(backendId, connections);
  }
}

/** The new count; entries of 0 are not kept. */
function add(counts: Map<string, number>, backendId: string, change: number): number {
  const count = (counts.get(backendId) ?? 0) + change;
  if (count === 0) counts.delete(backendId);
  else counts.set(backendId, count);
  return count;
}

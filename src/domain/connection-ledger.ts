import { NumberMap } from './number-map.ts';

/** One slot of one backend, held for one attempt of one connection. */
export interface Lease {
  readonly backendId: string;
}

/**
 * The exact books: who holds which slot. Counts change here and nowhere else, always together with the lease that
 * they count, so that at any instant a backend's count is the number of its leases.
 *
 * A lease is named by the worker incarnation that holds it and the worker's own sequence number, so everything that a
 * dead worker held is found at once, and a report that arrives twice, or after its worker was written off, finds nothing.
 */
export class ConnectionLedger<L extends Lease> {
  readonly #held = new Map<number, NumberMap<L>>();
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
    return this.#held.get(incarnation)?.size ?? 0;
  }

  /** Tells `watcher` of every change of a count, at once, until the returned function is called. */
  watch(watcher: (backendId: string, connections: number) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** From now on `incarnation` may hold leases. */
  admit(incarnation: number): void {
    if (!this.#held.has(incarnation)) this.#held.set(incarnation, new NumberMap());
  }

  /** Whether the worker may reserve under `seq`: it is admitted, and holds nothing under that number yet. */
  mayReserve(incarnation: number, seq: number): boolean {
    const leases = this.#held.get(incarnation);
    return leases !== undefined && !leases.has(seq);
  }

  /** Takes a slot. The caller has asked `mayReserve`, and checked the hard limit, in the same synchronous step. */
  reserve(incarnation: number, seq: number, lease: L): void {
    const leases = this.#held.get(incarnation);
    if (leases === undefined || leases.has(seq)) throw new Error(`lease ${incarnation}/${seq} may not be reserved`);
    leases.set(seq, lease);
    this.#count(lease.backendId, 1);
  }

  find(incarnation: number, seq: number): L | undefined {
    return this.#held.get(incarnation)?.get(seq);
  }

  /** Gives a slot back; `undefined` when there is no such lease, and then nothing changed. */
  release(incarnation: number, seq: number): L | undefined {
    const lease = this.#held.get(incarnation)?.delete(seq);
    if (lease === undefined) return undefined;
    this.#count(lease.backendId, -1);
    return lease;
  }

  /** Gives back everything that a dead worker held; from now on nothing can be reserved for it. */
  releaseAll(incarnation: number): L[] {
    const leases = (this.#held.get(incarnation)?.entries() ?? []).map(([, lease]) => lease);
    this.#held.delete(incarnation);
    for (const lease of leases) this.#count(lease.backendId, -1);
    return leases;
  }

  #count(backendId: string, change: 1 | -1): void {
    const connections = this.connections(backendId) + change;
    if (connections === 0) this.#counts.delete(backendId);
    else this.#counts.set(backendId, connections);
    this.#total += change;
    for (const watcher of this.#watchers) watcher(backendId, connections);
  }
}

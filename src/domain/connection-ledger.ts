import { BackendSlots } from './backend-slots.ts';
import { NumberMap } from './number-map.ts';
import { CHUNK_SIZE, positionOf, RefPool } from './ref-pool.ts';
import { SlotCounts } from './slot-counts.ts';

/** One connection's room at one backend, held for one attempt: a ref of `ConnectionLedger.leases`; 0: none. */
export type Lease = number;

/** What one worker holds: its leases, and how many of each backend's. */
interface Holder {
  /** By the worker's sequence number. */
  readonly leases: NumberMap<Lease>;
  readonly counts: SlotCounts;
}

/**
 * The exact books: who holds room where. Counts change here and nowhere else, always together with the lease that
 * they count, so that at any instant a backend's count is the number of its leases.
 *
 * A lease is named by the worker incarnation that holds it and the worker's own sequence number, so everything that a
 * dead worker held is found at once, and a report that arrives twice, or after its worker was written off, finds nothing.
 * Who released a lease may read on what is kept of it, until `forget`.
 */
export class ConnectionLedger {
  /** The numbers of the backends, for whoever speaks of them by number. */
  readonly slots = new BackendSlots();
  /** Refs of what is held, or released and not forgotten yet, for whoever keeps more of it: in columns of the same pool. */
  readonly leases = new RefPool();
  readonly #slots = this.leases.columns(() => new Uint32Array(CHUNK_SIZE));
  readonly #holders = new Map<number, Holder>();
  readonly #counts = new SlotCounts();
  readonly #watchers = new Set<(slot: number, connections: number) => void>();
  #total = 0;

  /** Leases held, over all backends. */
  get total(): number {
    return this.#total;
  }

  connections(slot: number): number {
    return this.#counts.get(slot);
  }

  /** Also of a backend that nobody knows: 0. */
  connectionsOf(id: string): number {
    return this.#counts.get(this.slots.slotOf(id));
  }

  /** Ids of the backends with at least one lease, and how many; each as it is when it comes to it. */
  *counts(): Generator<[id: string, connections: number], void> {
    for (const slot of this.#counts.counted()) yield [this.slots.idOf(slot), this.#counts.get(slot)];
  }

  heldBy(incarnation: number): number {
    return this.#holders.get(incarnation)?.leases.size ?? 0;
  }

  /** Tells `watcher` of every change of a count, at once, until the returned function is called. */
  watch(watcher: (slot: number, connections: number) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** From now on `incarnation` may hold leases. */
  admit(incarnation: number): void {
    if (!this.#holders.has(incarnation))
      this.#holders.set(incarnation, { leases: new NumberMap(), counts: new SlotCounts() });
  }

  /** Whether the worker may reserve under `seq`: it is admitted, and holds nothing under that number yet. */
  mayReserve(incarnation: number, seq: number): boolean {
    const holder = this.#holders.get(incarnation);
    return holder !== undefined && !holder.leases.has(seq);
  }

  /**
   * Takes room at the backend of `slot`, which is held for as long as it has leases. The caller has asked `mayReserve`, and
   * checked the hard limit, in the same synchronous step.
   */
  reserve(incarnation: number, seq: number, slot: number): Lease {
    const holder = this.#holders.get(incarnation);
    if (holder === undefined || holder.leases.has(seq))
      throw new Error(`lease ${incarnation}/${seq} may not be reserved`);
    const lease = this.leases.take();
    this.#slots.of(lease)[positionOf(lease)] = slot;
    holder.leases.set(seq, lease);
    holder.counts.add(slot, 1);
    this.#count(slot, 1);
    return lease;
  }

  /** 0: there is no such lease. */
  find(incarnation: number, seq: number): Lease {
    return this.#holders.get(incarnation)?.leases.get(seq) ?? 0;
  }

  /** Gives its room back; the lease is the caller's to forget. 0: there is no such lease, and nothing changed. */
  release(incarnation: number, seq: number): Lease {
    const holder = this.#holders.get(incarnation);
    const lease = holder?.leases.delete(seq);
    if (holder === undefined || lease === undefined) return 0;
    const slot = this.slotOf(lease);
    holder.counts.add(slot, -1);
    this.#count(slot, -1);
    return lease;
  }

  /**
   * Gives back everything that a dead worker held, in a time of its backends, not of its connections; from now on nothing
   * can be reserved for it. The leases are the caller's to forget, each when it is done with it.
   */
  releaseAll(incarnation: number): NumberMap<Lease> {
    const holder = this.#holders.get(incarnation);
    if (holder === undefined) return new NumberMap();
    this.#holders.delete(incarnation);
    for (const slot of holder.counts.counted()) this.#count(slot, -holder.counts.get(slot));
    return holder.leases;
  }

  /** Where the room is, or was: the slot of a lease that is released may be another backend's. */
  slotOf(lease: Lease): number {
    return this.#slots.of(lease)[positionOf(lease)]!;
  }

  /** A released lease is of no more use to anyone: another connection may get its number. */
  forget(lease: Lease): void {
    this.leases.giveBack(lease);
  }

  #count(slot: number, change: number): void {
    const connections = this.#counts.add(slot, change);
    this.#total += change;
    // The number of one that has none may be given to another backend.
    if (connections === change) this.slots.hold(slot);
    for (const watcher of this.#watchers) watcher(slot, connections);
    if (connections === 0) this.slots.release(slot);
  }
}

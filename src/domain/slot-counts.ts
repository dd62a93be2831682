const MIN_SLOTS = 64;

/** A count for each slot, 0 at first; at most 2^32 - 1. */
export class SlotCounts {
  #counts = new Uint32Array(MIN_SLOTS);

  get(slot: number): number {
    return this.#counts[slot] ?? 0;
  }

  /** Returns the new count. */
  add(slot: number, change: number): number {
    if (slot >= this.#counts.length) this.#grow(slot);
    this.#counts[slot]! += change;
    return this.#counts[slot]!;
  }

  /** The slots whose count is not 0, ascending, each as it is when it comes to it: counts may change meanwhile. */
  *counted(): Generator<number, void> {
    for (let slot = 0; slot < this.#counts.length; slot++) if (this.#counts[slot] !== 0) yield slot;
  }

  #grow(slot: number): void {
    const counts = new Uint32Array(2 ** Math.ceil(Math.log2(slot + 1)));
    counts.set(this.#counts);
    this.#counts = counts;
  }
}

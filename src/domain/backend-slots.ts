/**
 * Small numbers for backends, so that counts and indexes are arrays. A backend keeps its number for as long as anyone
 * holds on to it: the routing table while it has the row, the ledger while it has a connection. Only then may another one
 * get it.
 */
export class BackendSlots {
  readonly #slots = new Map<string, number>();
  readonly #ids: string[] = [];
  readonly #holds: number[] = [];
  readonly #free: number[] = [];

  /** -1: it has none. */
  slotOf(id: string): number {
    return this.#slots.get(id) ?? -1;
  }

  /** Of a slot that is held. */
  idOf(slot: number): string {
    return this.#ids[slot]!;
  }

  /** The backend's slot, a new one if it has none; held until `release`. */
  take(id: string): number {
    let slot = this.slotOf(id);
    if (slot < 0) {
      slot = this.#free.pop() ?? this.#ids.length;
      this.#slots.set(id, slot);
      this.#ids[slot] = id;
      this.#holds[slot] = 0;
    }
    this.#holds[slot]!++;
    return slot;
  }

  /** Once more, for one that is held already. */
  hold(slot: number): void {
    this.#holds[slot]!++;
  }

  release(slot: number): void {
    if (--this.#holds[slot]! > 0) return;
    this.#slots.delete(this.#ids[slot]!);
    this.#ids[slot] = '';
    this.#free.push(slot);
  }
}

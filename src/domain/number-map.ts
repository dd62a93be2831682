const MIN_CAPACITY = 16;

/** No key is negative. */
const EMPTY = -1;

/**
 * A map from integers (0 to 2^53 - 1) for entries that come and go all the time. A `Map` makes a new table every so many
 * changes, and in V8 an old table that is not collected yet keeps all later ones, and what they held, through every minor
 * collection: half of all garbage grew old that way. This one changes in place: open addressing with linear probing, and
 * deletion that moves later entries back instead of leaving a mark (Knuth, TAOCP 3, 6.4, algorithm R).
 */
export class NumberMap<V extends {}> {
  #keys = new Float64Array(MIN_CAPACITY).fill(EMPTY);
  #values: (V | undefined)[] = new Array(MIN_CAPACITY).fill(undefined);
  #mask = MIN_CAPACITY - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): V | undefined {
    return this.#values[this.#find(key)];
  }

  has(key: number): boolean {
    return this.#keys[this.#find(key)] === key;
  }

  set(key: number, value: V): void {
    const at = this.#find(key);
    this.#values[at] = value;
    if (this.#keys[at] === key) return;
    this.#keys[at] = key;
    this.#size++;
    if (this.#size * 2 > this.#mask) this.#resize((this.#mask + 1) * 2);
  }

  /** The value that was there. */
  delete(key: number): V | undefined {
    const at = this.#find(key);
    const value = this.#values[at];
    if (value === undefined) return undefined;
    this.#close(at);
    this.#size--;
    // A peak's memory is given back; far enough below the limit for growth not to follow at once.
    if (this.#size * 16 < this.#mask && this.#mask >= MIN_CAPACITY) this.#resize((this.#mask + 1) / 2);
    return value;
  }

  /** A copy, in no order: the map may change meanwhile. */
  entries(): [number, V][] {
    const entries: [number, V][] = [];
    this.#values.forEach((value, at) => {
      if (value !== undefined) entries.push([this.#keys[at]!, value]);
    });
    return entries;
  }

  /** In place, in no order: the map must not change before the last one was taken. */
  *values(): Generator<V, void> {
    for (const value of this.#values) if (value !== undefined) yield value;
  }

  /** A copy, in no order: a tenth of the time of `entries`. */
  keys(): Float64Array {
    const keys = new Float64Array(this.#size);
    let count = 0;
    for (const key of this.#keys) if (key !== EMPTY) keys[count++] = key;
    return keys;
  }

  /** Where `key` is, or would be. */
  #find(key: number): number {
    let at = this.#home(key);
    while (this.#keys[at] !== key && this.#keys[at] !== EMPTY) at = (at + 1) & this.#mask;
    return at;
  }

  #home(key: number): number {
    const low = key | 0;
    const high = (key / 2 ** 32) | 0;
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4): neighbours, as most keys are, spread evenly.
    const hash = Math.imul(low ^ high, 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  /** Empties a place without breaking the way to the entries that were put behind it. */
  #close(hole: number): void {
    let at = hole;
    let open = hole;
    for (;;) {
      at = (at + 1) & this.#mask;
      const key = this.#keys[at]!;
      if (key === EMPTY) break;
      // One whose home lies cyclically in (open, at] is found without passing the hole.
      if (((at - this.#home(key)) & this.#mask) < ((at - open) & this.#mask)) continue;
      this.#keys[open] = key;
      this.#values[open] = this.#values[at];
      open = at;
    }
    this.#keys[open] = EMPTY;
    this.#values[open] = undefined;
  }

  #resize(capacity: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(capacity).fill(EMPTY);
    this.#values = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
    values.forEach((value, i) => {
      if (value === undefined) return;
      const at = this.#find(keys[i]!);
      this.#keys[at] = keys[i]!;
      this.#values[at] = value;
    });
  }
}

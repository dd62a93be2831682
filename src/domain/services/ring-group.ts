import { TIE_WINDOW, tieBreak } from './load-balancer.ts';
import { MinRing } from './min-ring.ts';

/** Members of a bucket before it is split: few enough to look through, many enough for the buckets to be few. Measured. */
const MAX_BUCKET = 64;
/** Members of a bucket of those that came in ring order: some may still come in between. */
const FILLED = 48;
/** Room of a new bucket: most groups of most tables are small. */
const MIN_ROOM = 4;

/** A backend, as the groups that it competes in know it. */
export interface Seat {
  readonly slot: number;
  readonly id: string;
  /** Its place on the ring: unsigned 32 bits. */
  readonly hash: number;
  /** Where it is a member, one of each group. */
  buckets: readonly Bucket[];
}

/** Members that follow each other on the ring. Entry i of each column is member i's. */
export class Bucket {
  readonly group: RingGroup;
  /** Its position among the group's. */
  at = 0;
  size = 0;
  /** The least of the loads. */
  min = Infinity;
  slots: Uint32Array;
  hashes: Uint32Array;
  loads: Float64Array;

  constructor(group: RingGroup, room: number) {
    this.group = group;
    this.slots = new Uint32Array(room);
    this.hashes = new Uint32Array(room);
    this.loads = new Float64Array(room);
  }

  /** The first member whose hash is at least `hash`; `size` when there is none. */
  lowerBound(hash: number): number {
    return lowerBound(this.hashes, this.size, hash);
  }

  positionOf(seat: Seat): number {
    // So few that a search by halves, which the processor cannot foresee, takes longer.
    const { slots } = this;
    let at = 0;
    while (slots[at] !== seat.slot) at++;
    return at;
  }

  insert(seat: Seat, load: number): void {
    if (this.size === this.hashes.length) this.#grow();
    let at = this.lowerBound(seat.hash);
    while (at < this.size && this.hashes[at] === seat.hash && this.group.seatOf(this.slots[at]!).id < seat.id) at++;
    this.slots.copyWithin(at + 1, at, this.size);
    this.hashes.copyWithin(at + 1, at, this.size);
    this.loads.copyWithin(at + 1, at, this.size);
    this.slots[at] = seat.slot;
    this.hashes[at] = seat.hash;
    this.loads[at] = load;
    this.size++;
    this.min = Math.min(this.min, load);
  }

  /** The seat is left with this bucket among its own, for the caller to take out. */
  remove(seat: Seat): void {
    const at = this.positionOf(seat);
    this.slots.copyWithin(at, at + 1, this.size);
    this.hashes.copyWithin(at, at + 1, this.size);
    this.loads.copyWithin(at, at + 1, this.size);
    this.size--;
    this.#findMin();
  }

  /** Returns the load before. */
  setLoad(seat: Seat, load: number): number {
    const at = this.positionOf(seat);
    const before = this.loads[at]!;
    this.loads[at] = load;
    if (load < this.min) this.min = load;
    else if (before === this.min && load > before) this.#findMin();
    return before;
  }

  /** Moves the second half of its members to a new bucket. */
  split(): Bucket {
    const half = this.size >> 1;
    const other = new Bucket(this.group, MAX_BUCKET);
    other.slots.set(this.slots.subarray(half));
    other.hashes.set(this.hashes.subarray(half));
    other.loads.set(this.loads.subarray(half));
    other.size = this.size - half;
    this.size = half;
    for (const slot of other.slots.subarray(0, other.size)) {
      const seat = this.group.seatOf(slot);
      seat.buckets = seat.buckets.map((bucket) => (bucket === this ? other : bucket));
    }
    this.#findMin();
    other.#findMin();
    return other;
  }

  #findMin(): void {
    let min = Infinity;
    for (let i = 0; i < this.size; i++) if (this.loads[i]! < min) min = this.loads[i]!;
    this.min = min;
  }

  #grow(): void {
    const { slots, hashes, loads } = this;
    this.slots = new Uint32Array(2 * this.size);
    this.slots.set(slots);
    this.hashes = new Uint32Array(2 * this.size);
    this.hashes.set(hashes);
    this.loads = new Float64Array(2 * this.size);
    this.loads.set(loads);
  }
}

/**
 * Backends that compete in one tier for one app: in ring order (ascending hash, equal hashes by id), with their loads,
 * Infinity for those that may not be picked now. They come, go and change their load at any time: a bucket's members
 * are few enough to look through, and a tree over the buckets' least loads finds those to look into. Buckets are split
 * when they are full and go when they are empty, not before (free-at-empty: Johnson and Shasha, 1993).
 */
export class RingGroup {
  /** Members that are up, full or not: the caller counts them. */
  up = 0;
  readonly seatOf: (slot: number) => Seat;
  readonly #buckets: Bucket[] = [];
  /** By bucket: the hash of its first member. */
  #firsts = new Uint32Array(MIN_ROOM);
  /** By bucket: its least load. */
  #mins = new MinRing(0, () => 0);
  /** Buckets came or went since they were numbered: a table that is entered row by row has nobody pick in between. */
  #isStale = false;

  /** `seatOf`: of a member's slot. */
  constructor(seatOf: (slot: number) => Seat) {
    this.seatOf = seatOf;
  }

  /** The least load; Infinity when nobody may be picked. */
  get min(): number {
    if (this.#isStale) this.#renumber();
    return this.#mins.min;
  }

  /** Returns the bucket, for the caller to note among the seat's. */
  add(seat: Seat, load: number): Bucket {
    let at = this.#bucketFor(seat);
    if (this.#buckets.length === 0) this.#insertBucket(0, new Bucket(this, MIN_ROOM));
    else if (this.#endsBefore(at, seat)) this.#insertBucket(++at, new Bucket(this, MAX_BUCKET));
    else if (this.#buckets[at]!.size === MAX_BUCKET) {
      const other = this.#buckets[at]!.split();
      this.#insertBucket(at + 1, other);
      if (this.#isFirstBefore(other, seat)) at++;
    }
    const bucket = this.#buckets[at]!;
    bucket.insert(seat, load);
    this.#noted(bucket, at);
    return bucket;
  }

  /** Out of `bucket`, which is the seat's in this group. */
  remove(bucket: Bucket, seat: Seat): void {
    if (this.#isStale) this.#renumber();
    bucket.remove(seat);
    if (bucket.size > 0) {
      this.#noted(bucket, bucket.at);
      return;
    }
    this.#buckets.splice(bucket.at, 1);
    this.#firsts.copyWithin(bucket.at, bucket.at + 1);
    this.#isStale = true;
  }

  /** In `bucket`, which is the seat's in this group. Returns the load before. */
  setLoad(bucket: Bucket, seat: Seat, load: number): number {
    const { min } = bucket;
    const before = bucket.setLoad(seat, load);
    if (bucket.min !== min && !this.#isStale) this.#mins.set(bucket.at, bucket.min);
    return before;
  }

  /** The slot of the winner among the least loaded members: see `tieBreak`. -1 when nobody may be picked. */
  pick(clientHash: number): number {
    const least = this.min;
    if (least === Infinity) return -1;
    const first = this.#lastBefore(clientHash);
    const start = this.#buckets[first]!.lowerBound(clientHash);
    let winner = -1;
    let lowest = Infinity;
    let seen = 0;
    // From the client on to the end of the ring, and then from its beginning to the client's bucket, which is met twice.
    for (let round = 0; round < 2; round++) {
      const last = round === 0 ? this.#buckets.length - 1 : first;
      let at = round === 0 ? first : this.#mins.next(0, least);
      while (at >= 0 && at <= last) {
        const { slots, hashes, loads, size } = this.#buckets[at]!;
        for (let i = round === 0 && at === first ? start : 0; i < size; i++) {
          if (loads[i]! > least) continue;
          const draw = tieBreak(clientHash, hashes[i]!);
          if (draw < lowest) {
            lowest = draw;
            winner = slots[i]!;
          }
          if (++seen === TIE_WINDOW) return winner;
        }
        at = this.#mins.next(at + 1, least);
      }
    }
    return winner;
  }

  /** The position of the last bucket whose first member's hash is less; 0 when there is none. */
  #lastBefore(hash: number): number {
    return Math.max(0, lowerBound(this.#firsts, this.#buckets.length, hash) - 1);
  }

  /** The position of the last bucket whose first member comes before `seat`; 0 when there is none. */
  #bucketFor(seat: Seat): number {
    let at = this.#lastBefore(seat.hash);
    while (at + 1 < this.#buckets.length && this.#isFirstBefore(this.#buckets[at + 1]!, seat)) at++;
    return at;
  }

  #isFirstBefore({ hashes, slots }: Bucket, seat: Seat): boolean {
    return hashes[0]! < seat.hash || (hashes[0] === seat.hash && this.seatOf(slots[0]!).id < seat.id);
  }

  /** Whether the bucket at `at` is the last one, filled, and `seat` comes behind it: members that come in ring order. */
  #endsBefore(at: number, seat: Seat): boolean {
    const { size, hashes } = this.#buckets[at]!;
    return at === this.#buckets.length - 1 && size >= FILLED && hashes[size - 1]! < seat.hash;
  }

  #insertBucket(at: number, bucket: Bucket): void {
    const count = this.#buckets.length;
    if (count === this.#firsts.length) {
      const firsts = this.#firsts;
      this.#firsts = new Uint32Array(2 * count);
      this.#firsts.set(firsts);
    }
    this.#firsts.copyWithin(at + 1, at, count);
    this.#firsts[at] = bucket.hashes[0]!;
    this.#buckets.splice(at, 0, bucket);
    this.#isStale = true;
  }

  /** After a change of the members of the bucket at `at`. */
  #noted(bucket: Bucket, at: number): void {
    this.#firsts[at] = bucket.hashes[0]!;
    if (!this.#isStale) this.#mins.set(at, bucket.min);
  }

  #renumber(): void {
    const buckets = this.#buckets;
    for (let at = 0; at < buckets.length; at++) buckets[at]!.at = at;
    this.#mins = new MinRing(buckets.length, (at) => buckets[at]!.min);
    this.#isStale = false;
  }
}

/** The first of `size` ascending hashes that is at least `hash`; `size` when there is none. */
function lowerBound(hashes: Uint32Array, size: number, hash: number): number {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

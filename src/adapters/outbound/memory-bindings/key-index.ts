// Runs in: primary
import { randomInt } from 'node:crypto';
import { hashClientKey } from '../../../domain/client-key.ts';
import type { ClientKey } from '../../../domain/entities.ts';
import { mix32 } from '../../../domain/hash.ts';
import type { Slab } from './slab.ts';

/** Entries of a shard when the table is full, on average: rehashing one takes some 0.1 ms. */
const SHARD_ENTRIES = 4096;
/** A power of two; what a shard keeps once it was used: 128 bytes. */
const MIN_SLOTS = 16;
const EMPTY = new Uint32Array(0);

/**
 * Key -> ref, in many small tables with open addressing that each grow and shrink on their own: one large table would stop
 * the loop for tens of milliseconds to grow. A slot is two words, hash and ref (0 = empty): with the hash at hand, growing and
 * deleting read no entry. Deletion shifts the run behind it back, so that no tombstones pile up.
 */
export class KeyIndex {
  readonly #slab: Slab;
  /** The low bits of a hash choose the shard, the bits above them the slot. */
  readonly #shardBits: number;
  readonly #shards: Uint32Array[];
  readonly #counts: Uint32Array;
  /** Secret to this process, so that nobody can choose client addresses that meet in one shard or run. */
  readonly #seed = randomInt(2 ** 32);

  /** `capacity`: the entries expected at most; more would only make the shards larger. */
  constructor(slab: Slab, capacity: number) {
    this.#slab = slab;
    this.#shardBits = Math.ceil(Math.log2(Math.max(1, capacity / SHARD_ENTRIES)));
    this.#shards = new Array<Uint32Array>(2 ** this.#shardBits).fill(EMPTY);
    this.#counts = new Uint32Array(2 ** this.#shardBits);
  }

  /** Slots of all shards, 8 bytes each. */
  get slots(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.length / 2, 0);
  }

  hash(key: ClientKey): number {
    return mix32(hashClientKey(key) ^ this.#seed);
  }

  /** The ref under `key`, whose hash and app number the caller has, or 0. */
  find(hash: number, appFamily: number, key: ClientKey): number {
    const shard = this.#shards[hash & (this.#shards.length - 1)]!;
    if (shard.length === 0) return 0;
    const mask = shard.length - 1;
    for (let at = this.#home(hash, mask); shard[at + 1] !== 0; at = (at + 2) & mask) {
      if (shard[at] !== hash) continue;
      const ref = shard[at + 1]!;
      if (this.#slab.matches(ref, appFamily, key.high, key.low)) return ref;
    }
    return 0;
  }

  /** Adds a ref whose key is not in the index. */
  add(hash: number, ref: number): void {
    const number = hash & (this.#shards.length - 1);
    const count = ++this.#counts[number]!;
    const slots = this.#shards[number]!.length / 2;
    if (count * 4 > slots * 3) this.#resize(number, Math.max(MIN_SLOTS, slots * 2));
    this.#put(this.#shards[number]!, hash, ref);
  }

  /** Takes out a ref that is in the index. */
  remove(hash: number, ref: number): void {
    const number = hash & (this.#shards.length - 1);
    const shard = this.#shards[number]!;
    const mask = shard.length - 1;
    let gap = this.#home(hash, mask);
    while (shard[gap + 1] !== ref) gap = (gap + 2) & mask;
    // Knuth, The Art of Computer Programming vol. 3, 6.4, algorithm R: an entry moves back unless its home lies after the gap.
    for (let at = (gap + 2) & mask; shard[at + 1] !== 0; at = (at + 2) & mask) {
      const home = this.#home(shard[at]!, mask);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      shard[gap] = shard[at]!;
      shard[gap + 1] = shard[at + 1]!;
      gap = at;
    }
    shard[gap + 1] = 0;
    const count = --this.#counts[number]!;
    const slots = shard.length / 2;
    // Both ways lead to 3/8 full, so that neither follows soon upon the other.
    if (slots > MIN_SLOTS && count * 16 < slots * 3) this.#resize(number, slots / 2);
  }

  #resize(number: number, slots: number): void {
    const old = this.#shards[number]!;
    const shard = new Uint32Array(slots * 2);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] !== 0) this.#put(shard, old[at]!, old[at + 1]!);
    }
    this.#shards[number] = shard;
  }

  #put(shard: Uint32Array, hash: number, ref: number): void {
    const mask = shard.length - 1;
    let at = this.#home(hash, mask);
    while (shard[at + 1] !== 0) at = (at + 2) & mask;
    shard[at] = hash;
    shard[at + 1] = ref;
  }

  /** Slots begin at even positions; `mask` is the shard's length - 1. */
  #home(hash: number, mask: number): number {
    return ((hash >>> this.#shardBits) * 2) & mask;
  }
}

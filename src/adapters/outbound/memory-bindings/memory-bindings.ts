// Runs in: primary
import type { BindingRef, BindingRepository } from '../../../application/ports/binding-repository.ts';
import { countryOf, numberOfCountry } from '../../../domain/countries.ts';
import type { ClientKey } from '../../../domain/entities.ts';
import { positionOf } from '../../../domain/ref-pool.ts';
import type { CountryCode } from '../../../domain/value-objects.ts';
import { EdgeError } from '../../../errors.ts';
import { KeyIndex } from './key-index.ts';
import { RecencyList } from './recency-list.ts';
import { Slab } from './slab.ts';

export interface MemoryBindingsOptions {
  /** > 0, in ms. A binding that has been idle for exactly this long is expired. */
  readonly ttlMs: number;
  /** 1..2^27: bindings held at most, idle, in use and expired ones together. */
  readonly maxBindings: number;
}

const MAX_BINDINGS = 2 ** 27;

/**
 * The binding table. Every operation takes constant time, apart from one shard's rehash or one new chunk (some 0.1 ms),
 * however large the table is.
 *
 * Memory of n bindings, in bytes: 42 n in columns + 8 n for the pointer to the backend's id + 8 n / f in the index, where f is how
 * full the shards are, 3/8 to 3/4: 61 n to 71 n; and up to one chunk of 4096 entries. Chunks with a live binding stay
 * when the table shrinks.
 */
export class MemoryBindings implements BindingRepository {
  readonly #ttlMs: number;
  readonly #maxBindings: number;
  readonly #slab: Slab;
  readonly #index: KeyIndex;
  readonly #idle: RecencyList;
  #size = 0;
  #evictions = 0;

  /** Throws EDGE_ERR_INTERNAL for options out of range: configuration was validated before. */
  constructor({ ttlMs, maxBindings }: MemoryBindingsOptions) {
    if (!(ttlMs > 0)) throw new EdgeError('EDGE_ERR_INTERNAL', `ttlMs is ${ttlMs}, must be > 0`);
    if (!Number.isInteger(maxBindings) || maxBindings < 1 || maxBindings > MAX_BINDINGS) {
      throw new EdgeError('EDGE_ERR_INTERNAL', `maxBindings is ${maxBindings}, must be 1..${MAX_BINDINGS}`);
    }
    this.#ttlMs = ttlMs;
    this.#maxBindings = maxBindings;
    this.#slab = new Slab();
    this.#index = new KeyIndex(this.#slab, maxBindings);
    this.#idle = new RecencyList(this.#slab);
  }

  get size(): number {
    return this.#size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  find(key: ClientKey, now: number): BindingRef {
    const hash = this.#index.hash(key);
    const ref = this.#index.find(hash, this.#slab.appFamily(key.app, key.family), key);
    if (ref === 0 || !this.#isExpired(ref, now)) return ref;
    this.#drop(ref, hash);
    return 0;
  }

  /** Throws EDGE_ERR_INTERNAL when the key has a live binding: two would split its client between two backends. */
  bind(key: ClientKey, backendId: string, country: CountryCode | null, now: number): BindingRef {
    const hash = this.#index.hash(key);
    const appFamily = this.#slab.appFamily(key.app, key.family);
    const bound = this.#index.find(hash, appFamily, key);
    if (bound !== 0) {
      if (!this.#isExpired(bound, now)) throw new EdgeError('EDGE_ERR_INTERNAL', 'the client is bound already');
      this.#drop(bound, hash);
    }
    if (this.#size >= this.#maxBindings && !this.#makeRoom(now)) return 0;
    const ref = this.#slab.add(appFamily, key, backendId, numberOfCountry(country), now);
    this.#index.add(hash, ref);
    this.#idle.append(ref);
    this.#size++;
    return ref;
  }

  backendOf(ref: BindingRef): string {
    return this.#slab.chunkOf(ref).backends[positionOf(ref)]!;
  }

  countryOf(ref: BindingRef): CountryCode | null {
    return countryOf(this.#slab.chunkOf(ref).country[positionOf(ref)]!);
  }

  boundAt(ref: BindingRef): number {
    return this.#slab.chunkOf(ref).boundAt[positionOf(ref)]!;
  }

  lastSeenAt(ref: BindingRef): number {
    return this.#slab.chunkOf(ref).lastSeen[positionOf(ref)]!;
  }

  openConnections(ref: BindingRef): number {
    return this.#slab.chunkOf(ref).open[positionOf(ref)]!;
  }

  move(ref: BindingRef, backendId: string, now: number): void {
    const chunk = this.#slab.chunkOf(ref);
    chunk.backends[positionOf(ref)] = backendId;
    chunk.boundAt[positionOf(ref)] = now;
  }

  acquire(ref: BindingRef): void {
    const { open } = this.#slab.chunkOf(ref);
    if (open[positionOf(ref)]!++ === 0) this.#idle.unlink(ref);
  }

  /** Throws EDGE_ERR_INTERNAL when no connection is open: the binding would stand in the list twice. */
  release(ref: BindingRef, now: number): void {
    const { open, lastSeen } = this.#slab.chunkOf(ref);
    const at = positionOf(ref);
    if (open[at] === 0)
      throw new EdgeError('EDGE_ERR_INTERNAL', `binding ${ref} was released more often than acquired`);
    lastSeen[at] = now;
    if (--open[at]! === 0) this.#idle.append(ref);
  }

  remove(ref: BindingRef): void {
    if (this.openConnections(ref) === 0) this.#drop(ref, this.#index.hash(this.#slab.keyOf(ref)));
  }

  sweep(now: number, limit: number): number {
    let freed = 0;
    for (; freed < limit; freed++) {
      const oldest = this.#idle.oldest;
      if (oldest === 0 || !this.#isExpired(oldest, now)) break;
      this.remove(oldest);
    }
    return freed;
  }

  #isExpired(ref: BindingRef, now: number): boolean {
    const chunk = this.#slab.chunkOf(ref);
    const at = positionOf(ref);
    return chunk.open[at] === 0 && now - chunk.lastSeen[at]! >= this.#ttlMs;
  }

  /** Drops the oldest idle binding. An expired one was of no use to its client any more, so it does not count as given up. */
  #makeRoom(now: number): boolean {
    const oldest = this.#idle.oldest;
    if (oldest === 0) return false;
    if (!this.#isExpired(oldest, now)) this.#evictions++;
    this.remove(oldest);
    return true;
  }

  #drop(ref: BindingRef, hash: number): void {
    this.#idle.unlink(ref);
    this.#index.remove(hash, ref);
    this.#slab.free(ref);
    this.#size--;
  }
}

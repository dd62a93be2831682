// Runs in: primary
import { positionOf } from '../../../domain/ref-pool.ts';
import type { Slab } from './slab.ts';

/**
 * The bindings without an open connection in the order in which they were last seen, linked through the slab. The TTL is one
 * constant, so this is the order of expiry too.
 */
export class RecencyList {
  readonly #slab: Slab;
  #oldest = 0;
  #newest = 0;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  /** A ref, or 0 when the list is empty. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Adds a binding that is in no list, as the one seen last. */
  append(ref: number): void {
    const chunk = this.#slab.chunkOf(ref);
    const at = positionOf(ref);
    chunk.older[at] = this.#newest;
    chunk.newer[at] = 0;
    if (this.#newest === 0) this.#oldest = ref;
    else this.#slab.chunkOf(this.#newest).newer[positionOf(this.#newest)] = ref;
    this.#newest = ref;
  }

  /** Takes out a binding that is in the list. */
  unlink(ref: number): void {
    const chunk = this.#slab.chunkOf(ref);
    const at = positionOf(ref);
    const older = chunk.older[at]!;
    const newer = chunk.newer[at]!;
    if (older === 0) this.#oldest = newer;
    else this.#slab.chunkOf(older).newer[positionOf(older)] = newer;
    if (newer === 0) this.#newest = older;
    else this.#slab.chunkOf(newer).older[positionOf(newer)] = older;
  }
}

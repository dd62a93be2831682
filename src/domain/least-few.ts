/** Items that are taken out before the work yields: a fraction of a millisecond. */
const SLICE_ITEMS = 500;

/**
 * Of all that is offered, the `limit` least: a heap with the greatest of them on top, so that each offer costs O(log limit)
 * and the memory is that of `limit` items, however many are offered.
 */
export class LeastFew<T> {
  readonly #limit: number;
  readonly #compare: (a: T, b: T) => number;
  readonly #heap: T[] = [];

  /** `limit` >= 0. `compare` is a total order: it is never 0 for two different items, or it is not said which is kept. */
  constructor(limit: number, compare: (a: T, b: T) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  /** Whether an offer of it would be kept, for whoever can tell before the item is made. */
  takes(item: T): boolean {
    const heap = this.#heap;
    return heap.length < this.#limit || (this.#limit > 0 && this.#compare(item, heap[0]!) < 0);
  }

  offer(item: T): void {
    const heap = this.#heap;
    if (!this.takes(item)) return;
    if (heap.length < this.#limit) {
      heap.push(item);
      this.#siftUp(heap.length - 1);
    } else {
      heap[0] = item;
      this.#siftDown();
    }
  }

  /** Takes out those that were kept, the least first, in slices: yields now and then. */
  *takeAscending(): Generator<void, T[]> {
    const heap = this.#heap;
    const items = new Array<T>(heap.length);
    for (let at = items.length - 1; at >= 0; at--) {
      items[at] = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        this.#siftDown();
      }
      if (at % SLICE_ITEMS === SLICE_ITEMS - 1) yield;
    }
    return items;
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(heap[at]!, heap[parent]!) <= 0) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #siftDown(): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let greatest = at;
      if (left < heap.length && this.#compare(heap[left]!, heap[greatest]!) > 0) greatest = left;
      if (right < heap.length && this.#compare(heap[right]!, heap[greatest]!) > 0) greatest = right;
      if (greatest === at) return;
      this.#swap(at, greatest);
      at = greatest;
    }
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const item = heap[a]!;
    heap[a] = heap[b]!;
    heap[b] = item;
  }
}

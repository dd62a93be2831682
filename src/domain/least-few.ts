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

  offer(item: T): void {
    const heap = this.#heap;
    if (heap.length < this.#limit) {
      heap.push(item);
      this.#siftUp(heap.length - 1);
    } else if (this.#limit > 0 && this.#compare(item, heap[0]!) < 0) {
      heap[0] = item;
      this.#siftDown();
    }
  }

  /** Those that were kept, the least first. */
  ascending(): T[] {
    return [...this.#heap].sort(this.#compare);
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
      let greatest = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#compare(heap[child]!, heap[greatest]!) > 0) greatest = child;
      }
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

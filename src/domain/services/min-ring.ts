/**
 * Numbers in a ring that knows its least one: a segment tree of minima (a tournament) over the positions, so that a
 * change and a search for the next position of a small value both cost O(log size). Absent members hold Infinity.
 */
export class MinRing {
  readonly size: number;
  /** The leaf of position i is at `#leaves + i`; node n is the lesser of nodes 2n and 2n + 1; node 1 is the root. */
  readonly #nodes: Float64Array;
  readonly #leaves: number;

  constructor(size: number, valueAt: (position: number) => number) {
    this.size = size;
    this.#leaves = 1;
    while (this.#leaves < size) this.#leaves *= 2;
    this.#nodes = new Float64Array(2 * this.#leaves).fill(Infinity);
    for (let position = 0; position < size; position++) this.#nodes[this.#leaves + position] = valueAt(position);
    for (let node = this.#leaves - 1; node > 0; node--) {
      this.#nodes[node] = Math.min(this.#nodes[2 * node]!, this.#nodes[2 * node + 1]!);
    }
  }

  get min(): number {
    return this.#nodes[1]!;
  }

  get(position: number): number {
    return this.#nodes[this.#leaves + position]!;
  }

  set(position: number, value: number): void {
    const nodes = this.#nodes;
    let node = this.#leaves + position;
    nodes[node] = value;
    while (node > 1) {
      const left = nodes[node & ~1]!;
      const right = nodes[node | 1]!;
      const least = left < right ? left : right;
      node >>= 1;
      // Nothing above can change when this node does not.
      if (nodes[node] === least) return;
      nodes[node] = least;
    }
  }

  /** The first position from `from` on, without wrapping, whose value is at most `bound`; -1 when there is none. */
  next(from: number, bound: number): number {
    if (from >= this.size) return -1;
    const nodes = this.#nodes;
    let node = this.#leaves + from;
    if (nodes[node]! > bound) {
      // Climb to the first right-hand neighbour that has such a value below it ...
      while (node > 1 && ((node & 1) === 1 || nodes[node + 1]! > bound)) node >>= 1;
      if (node === 1) return -1;
      // ... and descend to the leftmost one.
      for (node++; node < this.#leaves; ) {
        node *= 2;
        if (nodes[node]! > bound) node++;
      }
    }
    return node - this.#leaves;
  }
}

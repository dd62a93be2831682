/** Entries of a chunk: made in microseconds, so that growth is never felt, and never copied. A power of two. */
export const CHUNK_SIZE = 4096;
const CHUNK_BITS = 12;
/** In `next`: the entry is taken. */
const TAKEN = 0xffff;

/** The position of a ref within its chunk. */
export function positionOf(ref: number): number {
  return (ref - 1) & (CHUNK_SIZE - 1);
}

/** What somebody keeps of each ref of a pool, in chunks that come and go with the pool's. */
export class Columns<C> {
  readonly #make: () => C;
  readonly #chunks: (C | null)[] = [];

  constructor(make: () => C) {
    this.#make = make;
  }

  /** The columns of a taken ref, which stands at `positionOf(ref)` in them. */
  of(ref: number): C {
    return this.#chunks[(ref - 1) >>> CHUNK_BITS]!;
  }

  /** The same for whatever number; `undefined`: no ref of its chunk is taken. */
  find(ref: number): C | undefined {
    return this.#chunks[(ref - 1) >>> CHUNK_BITS] ?? undefined;
  }

  /** The pool's to call, as `drop`. */
  make(index: number): void {
    this.#chunks[index] = this.#make();
  }

  drop(index: number): void {
    this.#chunks[index] = null;
  }
}

class Chunk {
  /** Of a free entry: the position of the next one; CHUNK_SIZE ends the list. */
  readonly next = new Uint16Array(CHUNK_SIZE);
  firstFree = 0;
  used = 0;

  constructor() {
    for (let at = 0; at < CHUNK_SIZE; at++) this.next[at] = at + 1;
  }
}

/**
 * Small numbers, from 1 on, for what comes and goes all the time, so that it can be kept in columns and makes no garbage.
 * Those of low chunks are taken first, so that the high ones run empty after a peak and are given back.
 */
export class RefPool {
  readonly #chunks: (Chunk | null)[] = [];
  readonly #columns: Columns<unknown>[] = [];
  /** One bit a chunk: it exists and has a free entry. */
  readonly #room: number[] = [];
  /** No word before this one has a bit set. */
  #firstRoom = 0;
  /** One empty chunk is kept, so that a size about a chunk's edge does not make and drop one each time. -1: none. */
  #spare = -1;

  /** Refs that are taken. */
  get size(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.used ?? 0), 0);
  }

  /** Chunks that hold memory now. */
  get chunkCount(): number {
    return this.#chunks.reduce((count, chunk) => count + (chunk === null ? 0 : 1), 0);
  }

  /** Columns beside the others of the pool's refs; `make` makes them for one chunk. */
  columns<C>(make: () => C): Columns<C> {
    const columns = new Columns(make);
    this.#columns.push(columns);
    for (const [index, chunk] of this.#chunks.entries()) if (chunk !== null) columns.make(index);
    return columns;
  }

  /** A ref that nobody has. What stands in its columns is what the one before left there. */
  take(): number {
    const index = this.#chunkWithRoom();
    const chunk = this.#chunks[index]!;
    const at = chunk.firstFree;
    chunk.firstFree = chunk.next[at]!;
    chunk.next[at] = TAKEN;
    chunk.used++;
    if (index === this.#spare) this.#spare = -1;
    if (chunk.used === CHUNK_SIZE) this.#setRoom(index, false);
    return index * CHUNK_SIZE + at + 1;
  }

  /** @throws for a ref that is not taken: the next two who take one would have it both */
  giveBack(ref: number): void {
    const index = (ref - 1) >>> CHUNK_BITS;
    const at = positionOf(ref);
    const chunk = this.#chunks[index];
    if (chunk == null || chunk.next[at] !== TAKEN) throw new Error(`ref ${ref} is not taken`);
    chunk.next[at] = chunk.firstFree;
    chunk.firstFree = at;
    chunk.used--;
    this.#setRoom(index, true);
    if (chunk.used > 0) return;
    if (this.#spare === -1) this.#spare = index;
    else this.#drop(index);
  }

  #chunkWithRoom(): number {
    const words = this.#room;
    for (let at = this.#firstRoom; at < words.length; at++) {
      const word = words[at]!;
      if (word === 0) continue;
      this.#firstRoom = at;
      return at * 32 + 31 - Math.clz32(word & -word);
    }
    const gap = this.#chunks.indexOf(null);
    const index = gap < 0 ? this.#chunks.length : gap;
    this.#chunks[index] = new Chunk();
    for (const columns of this.#columns) columns.make(index);
    this.#setRoom(index, true);
    return index;
  }

  #setRoom(index: number, room: boolean): void {
    const at = index >>> 5;
    const bit = 1 << (index & 31);
    const word = this.#room[at] ?? 0;
    this.#room[at] = room ? word | bit : word & ~bit;
    if (room && at < this.#firstRoom) this.#firstRoom = at;
  }

  #drop(index: number): void {
    this.#chunks[index] = null;
    this.#setRoom(index, false);
    for (const columns of this.#columns) columns.drop(index);
  }
}

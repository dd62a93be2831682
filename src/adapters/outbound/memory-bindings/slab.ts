// Runs in: primary
import type { ClientKey } from '../../../domain/entities.ts';
import { EdgeError } from '../../../errors.ts';

/** Entries of a chunk: 192 KiB of columns, made in tens of microseconds, so that growth is never felt. A power of two. */
export const CHUNK_SIZE = 4096;
const CHUNK_BITS = 12;
/** In `open`: the entry is free. No client has this many connections. */
const FREE = 0xffffffff;
/** `appFamily` has 16 bits, one of which says the family. */
const MAX_APPS = 0x8000;

/**
 * Entries in columns. One buffer a chunk, because each typed array of its own costs some 200 bytes of headers. A plain
 * array holds the backend ids: one string of the routing table is shared by all bindings to that backend.
 */
export class Chunk {
  readonly boundAt: Float64Array;
  readonly lastSeen: Float64Array;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  /** The list of idle bindings, as refs; 0 ends it. */
  readonly older: Uint32Array;
  /** The same towards the newer end; in a free entry, the next free one, as its position + 1. */
  readonly newer: Uint32Array;
  /** Open connections. */
  readonly open: Uint32Array;
  /** The app's number * 2, + 1 for IPv6. */
  readonly appFamily: Uint16Array;
  /** As `numberOfCountry` has it. */
  readonly country: Uint16Array;
  readonly backends: string[];
  firstFree = 1;
  used = 0;

  constructor() {
    const buffer = new ArrayBuffer(CHUNK_SIZE * (2 * 8 + 5 * 4 + 2 * 2));
    this.boundAt = new Float64Array(buffer, 0, CHUNK_SIZE);
    this.lastSeen = new Float64Array(buffer, CHUNK_SIZE * 8, CHUNK_SIZE);
    this.high = new Uint32Array(buffer, CHUNK_SIZE * 16, CHUNK_SIZE);
    this.low = new Uint32Array(buffer, CHUNK_SIZE * 20, CHUNK_SIZE);
    this.older = new Uint32Array(buffer, CHUNK_SIZE * 24, CHUNK_SIZE);
    this.newer = new Uint32Array(buffer, CHUNK_SIZE * 28, CHUNK_SIZE);
    this.open = new Uint32Array(buffer, CHUNK_SIZE * 32, CHUNK_SIZE);
    this.appFamily = new Uint16Array(buffer, CHUNK_SIZE * 36, CHUNK_SIZE);
    this.country = new Uint16Array(buffer, CHUNK_SIZE * 38, CHUNK_SIZE);
    this.backends = new Array<string>(CHUNK_SIZE).fill('');
    this.open.fill(FREE);
    for (let at = 0; at < CHUNK_SIZE - 1; at++) this.newer[at] = at + 2;
  }
}

/** The position of a ref within its chunk. */
export function positionOf(ref: number): number {
  return (ref - 1) & (CHUNK_SIZE - 1);
}

/**
 * Bindings by ref = entry + 1 (0 is none). New ones go to the lowest chunk with room, so that the high ones run empty and
 * are freed when the table shrinks; entries never move, because connections keep refs.
 */
export class Slab {
  readonly #chunks: (Chunk | null)[];
  /** One bit a chunk: it exists and has a free entry. */
  readonly #room: Uint32Array;
  /** No word before this one has a bit set. */
  #firstRoom = 0;
  /** One empty chunk is kept, so that a size about a chunk's edge does not make and drop one each time. -1: none. */
  #spare = -1;
  readonly #apps: string[] = [];
  readonly #appNumbers = new Map<string, number>();

  /** `capacity`: entries that may be in use at once. */
  constructor(capacity: number) {
    const chunks = Math.ceil(capacity / CHUNK_SIZE);
    this.#chunks = new Array<Chunk | null>(chunks).fill(null);
    this.#room = new Uint32Array(Math.ceil(chunks / 32));
  }

  /** Chunks that hold memory now. */
  get chunkCount(): number {
    return this.#chunks.reduce((count, chunk) => count + (chunk === null ? 0 : 1), 0);
  }

  /** The chunk of a ref. Throws EDGE_ERR_INTERNAL for the ref of a binding that is gone: another client's may be there next. */
  chunkOf(ref: number): Chunk {
    const chunk = this.#chunks[(ref - 1) >>> CHUNK_BITS];
    if (chunk == null || chunk.open[positionOf(ref)] === FREE) throw staleRef(ref);
    return chunk;
  }

  /** The number of an app and family, for `matches` and `add`. Apps come from configuration, so they are few; they stay. */
  appFamily(app: string, family: 4 | 6): number {
    let number = this.#appNumbers.get(app);
    if (number === undefined) {
      if (this.#apps.length === MAX_APPS)
        throw new EdgeError('EDGE_ERR_INTERNAL', `more than ${MAX_APPS} apps are bound`);
      number = this.#apps.push(app) - 1;
      this.#appNumbers.set(app, number);
    }
    return number * 2 + (family === 6 ? 1 : 0);
  }

  matches(ref: number, appFamily: number, high: number, low: number): boolean {
    const chunk = this.chunkOf(ref);
    const at = positionOf(ref);
    return chunk.low[at] === low && chunk.high[at] === high && chunk.appFamily[at] === appFamily;
  }

  keyOf(ref: number): ClientKey {
    const chunk = this.chunkOf(ref);
    const at = positionOf(ref);
    const appFamily = chunk.appFamily[at]!;
    const app = this.#apps[appFamily >>> 1]!;
    return { app, family: appFamily & 1 ? 6 : 4, high: chunk.high[at]!, low: chunk.low[at]! };
  }

  /** Takes an entry, without open connections and in no list. The caller keeps the number of entries within capacity. */
  add(appFamily: number, key: ClientKey, backendId: string, country: number, now: number): number {
    const index = this.#chunkWithRoom();
    const chunk = this.#chunks[index]!;
    const at = chunk.firstFree - 1;
    chunk.firstFree = chunk.newer[at]!;
    chunk.used++;
    if (index === this.#spare) this.#spare = -1;
    if (chunk.used === CHUNK_SIZE) this.#setRoom(index, false);
    chunk.boundAt[at] = now;
    chunk.lastSeen[at] = now;
    chunk.high[at] = key.high;
    chunk.low[at] = key.low;
    chunk.older[at] = 0;
    chunk.newer[at] = 0;
    chunk.open[at] = 0;
    chunk.appFamily[at] = appFamily;
    chunk.country[at] = country;
    chunk.backends[at] = backendId;
    return index * CHUNK_SIZE + at + 1;
  }

  free(ref: number): void {
    const chunk = this.chunkOf(ref);
    const index = (ref - 1) >>> CHUNK_BITS;
    const at = positionOf(ref);
    chunk.open[at] = FREE;
    chunk.backends[at] = ''; // lets go of the string of a table that may have been replaced
    chunk.newer[at] = chunk.firstFree;
    chunk.firstFree = at + 1;
    chunk.used--;
    this.#setRoom(index, true);
    if (chunk.used === 0) this.#retire(index);
  }

  #retire(index: number): void {
    if (this.#spare === -1) {
      this.#spare = index;
      return;
    }
    const dropped = Math.max(index, this.#spare);
    this.#spare = Math.min(index, this.#spare);
    this.#chunks[dropped] = null;
    this.#setRoom(dropped, false);
  }

  #chunkWithRoom(): number {
    const words = this.#room;
    for (let at = this.#firstRoom; at < words.length; at++) {
      const word = words[at]!;
      if (word === 0) continue;
      this.#firstRoom = at;
      return at * 32 + 31 - Math.clz32(word & -word);
    }
    const index = this.#chunks.indexOf(null);
    if (index === -1) throw new EdgeError('EDGE_ERR_INTERNAL', 'the binding table was filled beyond its capacity');
    this.#chunks[index] = new Chunk();
    this.#setRoom(index, true);
    return index;
  }

  #setRoom(index: number, room: boolean): void {
    const at = index >>> 5;
    const bit = 1 << (index & 31);
    this.#room[at] = room ? this.#room[at]! | bit : this.#room[at]! & ~bit;
    if (room && at < this.#firstRoom) this.#firstRoom = at;
  }
}

function staleRef(ref: number): EdgeError {
  return new EdgeError('EDGE_ERR_INTERNAL', `there is no binding ${ref}: its handle was kept after it was dropped`);
}

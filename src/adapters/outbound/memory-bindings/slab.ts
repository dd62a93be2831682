// Runs in: primary
import type { ClientKey } from '../../../domain/entities.ts';
import { CHUNK_SIZE, positionOf, RefPool } from '../../../domain/ref-pool.ts';
import { EdgeError } from '../../../errors.ts';

/** In `open`: the entry is free. No client has this many connections. */
const FREE = 0xffffffff;
/** `appFamily` has 16 bits, one of which says the family. */
const MAX_APPS = 0x8000;

/**
 * Entries in columns, 192 KiB for a chunk of them. One buffer, because each typed array of its own costs some 200 bytes of
 * headers. A plain array holds the backend ids: one string of the routing table is shared by all bindings to that backend.
 */
export class Chunk {
  readonly boundAt: Float64Array;
  readonly lastSeen: Float64Array;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  /** The list of idle bindings, as refs; 0 ends it. */
  readonly older: Uint32Array;
  /** The same towards the newer end. */
  readonly newer: Uint32Array;
  /** Open connections. */
  readonly open: Uint32Array;
  /** The app's number * 2, + 1 for IPv6. */
  readonly appFamily: Uint16Array;
  /** As `numberOfCountry` has it. */
  readonly country: Uint16Array;
  readonly backends: string[];

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
  }
}

/** Bindings by ref (0 is none). Entries never move, because connections keep refs. */
export class Slab {
  readonly #refs = new RefPool();
  readonly #columns = this.#refs.columns(() => new Chunk());
  readonly #apps: string[] = [];
  readonly #appNumbers = new Map<string, number>();

  /** Chunks that hold memory now. */
  get chunkCount(): number {
    return this.#refs.chunkCount;
  }

  /** The chunk of a ref. Throws EDGE_ERR_INTERNAL for the ref of a binding that is gone: another client's may be there next. */
  chunkOf(ref: number): Chunk {
    const chunk = this.#columns.find(ref);
    if (chunk === undefined || chunk.open[positionOf(ref)] === FREE) throw staleRef(ref);
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

  /** Takes an entry, without open connections and in no list. */
  add(appFamily: number, key: ClientKey, backendId: string, country: number, now: number): number {
    const ref = this.#refs.take();
    const chunk = this.#columns.of(ref);
    const at = positionOf(ref);
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
    return ref;
  }

  free(ref: number): void {
    const chunk = this.chunkOf(ref);
    const at = positionOf(ref);
    chunk.open[at] = FREE;
    chunk.backends[at] = ''; // lets go of the string of a table that may have been replaced
    this.#refs.giveBack(ref);
  }
}

function staleRef(ref: number): EdgeError {
  return new EdgeError('EDGE_ERR_INTERNAL', `there is no binding ${ref}: its handle was kept after it was dropped`);
}

// Runs in: primary, thread

/**
 * Log entries on their way from the primary to the thread that writes them, in memory that both share: one process fills
 * it, one thread at a time empties it, and nobody waits for the other. Positions count bytes since the start, modulo 2^32;
 * an entry lies in one piece, so that the end of the memory may be skipped.
 *
 * An entry begins with its length in bytes (32 bits, a multiple of 8) and its kind (8 bits).
 */

/** What may wait; a power of two. Some 80,000 connections, or 40 seconds of two thousand a second. */
export const RING_BYTES = 8 << 20;
/** What of it is a sign that whoever can wait should. */
const BEHIND_BYTES = RING_BYTES / 4;
/** Entries longer than this are not taken. */
export const MAX_ENTRY_BYTES = 1 << 20;

export const ENTRY_HEADER_BYTES = 8;
/** With the number of a name (32 bits), and how many bytes of UTF-8 follow (32 bits). */
export const TEXT_HEADER_BYTES = ENTRY_HEADER_BYTES + 8;
export const EntryKind = {
  /** The rest of the memory is not used. */
  skip: 0,
  /** A line of text, ready to be written. */
  text: 1,
  /** A text that rows name by its number from now on. */
  name: 2,
  /** A connection. */
  row: 3,
} as const;

const CONTROL_BYTES = 64;

/** Places in the control words. */
const HEAD = 0;
const TAIL = 1;
const SLEEPING = 2;
const URGENT = 3;
const WRITING = 4;
const LOST = 5;
const CUT = 6;
/** As a double: the last two words. */
const LOST_AT = 7;

export class LogRing {
  readonly shared: SharedArrayBuffer;
  /** The entries. */
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #control: Int32Array;
  readonly #times: Float64Array;
  #reserved = 0;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES)) {
    this.shared = shared;
    this.#control = new Int32Array(shared, 0, CONTROL_BYTES / 4);
    this.#times = new Float64Array(shared, 0, CONTROL_BYTES / 8);
    this.view = new DataView(shared, CONTROL_BYTES);
    this.#bytes = new Uint8Array(shared, CONTROL_BYTES);
  }

  /** Bytes that wait. */
  get waiting(): number {
    return (Atomics.load(this.#control, HEAD) - Atomics.load(this.#control, TAIL)) >>> 0;
  }

  get isBehind(): boolean {
    return this.waiting > BEHIND_BYTES;
  }

  // For the one who fills it.

  /** Room for an entry of so many bytes, its header included; -1: there is none. `commit` is to follow. */
  reserve(kind: number, bytes: number): number {
    const length = (bytes + 7) & ~7;
    if (length > MAX_ENTRY_BYTES) return -1;
    const head = Atomics.load(this.#control, HEAD) >>> 0;
    const at = head & (RING_BYTES - 1);
    const skipped = at + length > RING_BYTES ? RING_BYTES - at : 0;
    if (this.waiting + skipped + length > RING_BYTES) return -1;
    if (skipped > 0) this.#begin(at, EntryKind.skip, skipped);
    this.#reserved = skipped + length;
    const start = skipped > 0 ? 0 : at;
    this.#begin(start, kind, length);
    return start;
  }

  /** What was reserved last is there now. */
  commit(): void {
    Atomics.add(this.#control, HEAD, this.#reserved);
    if (Atomics.load(this.#control, SLEEPING) === 1) this.#wake();
  }

  /** What is there is not to wait for company. */
  hurry(): void {
    if (Atomics.exchange(this.#control, URGENT, 1) === 1) return;
    Atomics.notify(this.#control, URGENT);
    this.#wake();
  }

  /** Fills a reserved entry of text, of `TEXT_HEADER_BYTES` and those of the text. */
  setText(at: number, number: number, bytes: Uint8Array): void {
    this.view.setUint32(at + ENTRY_HEADER_BYTES, number, true);
    this.view.setUint32(at + ENTRY_HEADER_BYTES + 4, bytes.length, true);
    this.#bytes.set(bytes, at + TEXT_HEADER_BYTES);
  }

  /** Lines that are lost: there was no room for them, or they could not be written. */
  lose(lines: number): void {
    Atomics.add(this.#control, LOST, lines);
    this.#times[LOST_AT] = Date.now();
  }

  get lost(): number {
    return Atomics.load(this.#control, LOST) >>> 0;
  }

  /** When the last one was lost, in ms since 1970; 0: none was. */
  get lostAt(): number {
    return this.#times[LOST_AT]!;
  }

  // For those who empty it, one at a time.

  /** Waits until there is something, and a little longer for company, unless it is in a hurry. */
  sleep(gatherMs: number): void {
    Atomics.store(this.#control, SLEEPING, 1);
    if (this.waiting > 0) Atomics.store(this.#control, SLEEPING, 0);
    else Atomics.wait(this.#control, SLEEPING, 1);
    Atomics.wait(this.#control, URGENT, 0, gatherMs);
  }

  /** Takes the right to write, within `timeoutMs`; `false`: the other one is still writing. */
  acquire(timeoutMs: number): boolean {
    if (Atomics.compareExchange(this.#control, WRITING, 0, 1) === 0) return true;
    Atomics.wait(this.#control, WRITING, 1, timeoutMs);
    return Atomics.compareExchange(this.#control, WRITING, 0, 1) === 0;
  }

  release(): void {
    Atomics.store(this.#control, WRITING, 0);
    Atomics.notify(this.#control, WRITING);
  }

  get isWriting(): boolean {
    return Atomics.load(this.#control, WRITING) === 1;
  }

  /** Whoever wants what waits to be written at once from now on asks anew. */
  calmDown(): void {
    Atomics.store(this.#control, URGENT, 0);
  }

  /** Where the entry begins that is so many bytes behind the one that waits longest, of those that waited when `waiting` was read. */
  indexAt(offset: number): number {
    return (Atomics.load(this.#control, TAIL) + offset) & (RING_BYTES - 1);
  }

  /** So many bytes of what waits longest have been dealt with: their room is another's. */
  free(bytes: number): void {
    Atomics.add(this.#control, TAIL, bytes);
  }

  /** What was written last is the beginning of a line whose end was not: a disk that was full. */
  get isCut(): boolean {
    return Atomics.load(this.#control, CUT) === 1;
  }

  set isCut(cut: boolean) {
    Atomics.store(this.#control, CUT, cut ? 1 : 0);
  }

  length(index: number): number {
    return this.view.getUint32(index, true);
  }

  kind(index: number): number {
    return this.view.getUint8(index + 4);
  }

  text(index: number): { number: number; text: string } {
    const length = this.view.getUint32(index + ENTRY_HEADER_BYTES + 4, true);
    // A copy: nothing decodes what is shared.
    const bytes = Buffer.from(this.#bytes.subarray(index + TEXT_HEADER_BYTES, index + TEXT_HEADER_BYTES + length));
    return { number: this.view.getUint32(index + ENTRY_HEADER_BYTES, true), text: bytes.toString() };
  }

  #begin(at: number, kind: number, length: number): void {
    this.view.setUint32(at, length, true);
    this.view.setUint8(at + 4, kind);
  }

  #wake(): void {
    Atomics.store(this.#control, SLEEPING, 0);
    Atomics.notify(this.#control, SLEEPING);
  }
}

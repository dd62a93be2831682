// Runs in: primary
import { write, writeSync } from 'node:fs';
import { codeOf } from '../../../errors.ts';

/** Lines that need not be seen at once gather for so long, in ms, or up to so many bytes, before they are written. */
const GATHER_MS = 200;
const GATHER_BYTES = 64 << 10;
/** Bytes that may wait for a reader or a disk that is slower than we are; lines beyond them are dropped and counted. */
const MAX_WAITING_BYTES = 16 << 20;
/** What of them is a sign that whoever can wait should. */
const BEHIND_BYTES = MAX_WAITING_BYTES / 4;
/** Written at once, unless a line alone is longer: to encode it all would hold up the loop. */
const BLOCK_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/** Writes a block; `done` is told how many bytes of it were written, all but for an error. Never waits for the reader. */
type Sink = (block: Buffer, done: (written: number) => void) => void;

/**
 * Lines on their way to a descriptor, in order. A log must never end, or hold up, what it tells of: nothing here blocks
 * the loop when the reader stalls, throws when the disk is full, or grows without bound; what cannot be written is
 * dropped and counted.
 */
export class LogStream {
  dropped = 0;
  /** When a line was dropped last, as `performance.now()` tells it. */
  droppedAt = Number.NEGATIVE_INFINITY;
  /** Of `dropped`, what `onThrough` was told. */
  #told = 0;
  readonly #onThrough: (lost: number) => void;
  readonly #fd: number;
  readonly #sink: Sink;
  #waiting: string[] = [];
  #bytes = 0;
  #writing = false;
  /** What was written last is the beginning of a line whose end was not: a disk that was full. */
  #cut = false;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void) | null = null;

  /** `onThrough`: lines come through again, and so many before them did not. */
  constructor(fd: number, onThrough: (lost: number) => void = () => {}) {
    this.#fd = fd;
    this.#onThrough = onThrough;
    this.#sink = threadSink(fd);
  }

  get isBehind(): boolean {
    return this.#bytes > BEHIND_BYTES;
  }

  /** For a line that somebody waits for. */
  write(line: string): void {
    this.#add(line);
    this.#flush();
  }

  /** For one of many lines. */
  gather(line: string): void {
    this.#add(line);
    if (this.#bytes >= GATHER_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS).unref();
  }

  /** Resolves with true when everything is written or dropped, with false when `timeoutMs` passed before. */
  async end(timeoutMs: number): Promise<boolean> {
    this.#flush();
    if (!this.#writing) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false);
    });
    const idle = new Promise<boolean>((resolve) => {
      this.#idle = () => resolve(true);
    });
    const done = await Promise.race([idle, late]);
    clearTimeout(timer);
    return done;
  }

  /** What waits, when the process is about to end without another turn of its loop. */
  endNow(): void {
    // A write that is under way may be what the reader does not take. Without one, less than a block waits.
    if (this.#writing || this.#waiting.length === 0) return;
    const { lines, block } = this.#take();
    let written = 0;
    try {
      while (written < block.length) written += writeSync(this.#fd, block, written);
    } catch {
      // Counted below.
    }
    this.#account(lines, block, written);
  }

  #add(line: string): void {
    if (this.#bytes + line.length > MAX_WAITING_BYTES) {
      this.#drop(1);
      return;
    }
    this.#waiting.push(line);
    this.#bytes += line.length;
  }

  #take(): { lines: readonly string[]; block: Buffer } {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length) {
      bytes += this.#waiting[count]!.length;
      if (bytes > BLOCK_BYTES && count > 0) break;
      count++;
    }
    const lines = this.#waiting.splice(0, count);
    for (const line of lines) this.#bytes -= line.length;
    const block = Buffer.from((this.#cut ? '\n' : '') + lines.join(''));
    return { lines, block };
  }

  /** Counts the lines of which not all was written, and remembers whether the next one must begin with an end of line. */
  #account(lines: readonly string[], block: Buffer, written: number): void {
    if (written < block.length) {
      let end = this.#cut ? 1 : 0;
      const lost = lines.filter((line) => {
        end += Buffer.byteLength(line);
        return end > written;
      });
      this.#drop(lost.length);
    }
    if (written > 0) this.#cut = block[written - 1] !== NEWLINE;
  }

  #drop(lines: number): void {
    this.dropped += lines;
    this.droppedAt = performance.now();
  }

  /** Once all is written, so that a reader who is slow for long is told once. */
  #tellLost(): void {
    const lost = this.dropped - this.#told;
    if (lost === 0 || this.#waiting.length > 0) return;
    this.#told = this.dropped;
    this.#onThrough(lost);
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#writing) return;
    if (this.#waiting.length === 0) {
      this.#idle?.();
      return;
    }
    this.#writing = true;
    const { lines, block } = this.#take();
    this.#sink(block, (written) => {
      this.#writing = false;
      this.#account(lines, block, written);
      if (written === block.length) this.#tellLost();
      this.#flush();
    });
  }
}

/**
 * Writes in a thread of the pool, which may wait for a reader that stalls; one at a time, so that it is one thread. Not by
 * a non-blocking descriptor: whether this one blocks is shared with every process that has it, and starting one sets it.
 */
function threadSink(fd: number): Sink {
  return (block, done) => {
    const attempt = (from: number): void => {
      write(fd, block, from, block.length - from, null, (error, written) => {
        if (error !== null && codeOf(error) !== 'EAGAIN') done(from);
        else if (error !== null) setTimeout(attempt, GATHER_MS, from);
        else if (from + written < block.length) attempt(from + written);
        else done(block.length);
      });
    };
    attempt(0);
  };
}

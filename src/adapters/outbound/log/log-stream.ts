// Runs in: primary
import { write, writeSync } from 'node:fs';
import { codeOf } from '../../../errors.ts';

/** Lines that need not be seen at once gather for so long, in ms, or up to so many bytes, before they are written. */
const GATHER_MS = 200;
const GATHER_BYTES = 64 << 10;
/** Bytes that may wait for a reader or a disk that is slower than we are; lines beyond them are dropped and counted. */
const MAX_WAITING_BYTES = 16 << 20;

/** Writes a block; `done` is told of what was not written. Never waits for the reader. */
type Sink = (block: Buffer, done: (error: Error | null) => void) => void;

/**
 * Lines on their way to a descriptor, in order. A log must never end, or hold up, what it tells of: nothing here blocks
 * the loop when the reader stalls, throws when the disk is full, or grows without bound; what cannot be written is
 * dropped and counted.
 */
export class LogStream {
  dropped = 0;
  readonly #fd: number;
  readonly #sink: Sink;
  #waiting: string[] = [];
  #bytes = 0;
  #writing = false;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void) | null = null;

  constructor(fd: number) {
    this.#fd = fd;
    this.#sink = threadSink(fd);
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
    // A write that is under way may be what the reader does not take.
    if (this.#writing || this.#waiting.length === 0) return;
    const lines = this.#waiting.length;
    let block = this.#take();
    try {
      while (block.length > 0) block = block.subarray(writeSync(this.#fd, block));
    } catch {
      this.dropped += lines;
    }
  }

  #add(line: string): void {
    if (this.#bytes + line.length > MAX_WAITING_BYTES) {
      this.dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#bytes += line.length;
  }

  #take(): Buffer {
    const block = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#bytes = 0;
    return block;
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
    const lines = this.#waiting.length;
    this.#sink(this.#take(), (error) => {
      this.#writing = false;
      if (error !== null) this.dropped += lines;
      this.#flush();
    });
  }
}

/**
 * Writes in a thread of the pool, which may wait for a reader that stalls; one at a time, so that it is one thread. Not by
 * a non-blocking descriptor: whether this one blocks is shared with every process that has it, and starting one sets it.
 */
function threadSink(fd: number): Sink {
  const attempt: Sink = (block, done) => {
    write(fd, block, (error, written) => {
      if (error !== null && codeOf(error) !== 'EAGAIN') done(error);
      else if (error !== null) setTimeout(attempt, GATHER_MS, block, done);
      else if (written < block.length) attempt(block.subarray(written), done);
      else done(null);
    });
  };
  return attempt;
}

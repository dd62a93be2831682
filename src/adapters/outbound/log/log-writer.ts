// Runs in: thread; in the primary at its end
import { writeSync } from 'node:fs';
import { codeOf } from '../../../errors.ts';
import { AccessLines, type LineOptions } from './access-line.ts';
import { LineBytes } from './line-bytes.ts';
import { EntryKind, type LogRing } from './log-ring.ts';
import { readRow } from './log-rows.ts';

/** Written at once, unless a line alone is longer. */
const BLOCK_BYTES = 1 << 20;
/** Of entries that are made into lines before they are written. */
const BLOCK_ENTRY_BYTES = BLOCK_BYTES / 4;
const NEWLINE = 0x0a;
/** Between two attempts at a descriptor that somebody made non-blocking, and that takes nothing now. */
const RETRY_MS = 50;

/** Empties the ring into a descriptor: blocks while the reader stalls, and counts what cannot be written. */
export class LogWriter {
  readonly #ring: LogRing;
  readonly #fd: number;
  readonly #rows: AccessLines;
  /** An end of line that is owed, and the lines of a block. */
  readonly #lines = new LineBytes(BLOCK_BYTES);
  /** What was written last was written whole. */
  isThrough = true;

  /** `names`: those that were told before, by their numbers. */
  constructor(ring: LogRing, fd: number, options: LineOptions, names: ReadonlyMap<string, number> = new Map()) {
    this.#ring = ring;
    this.#fd = fd;
    this.#rows = new AccessLines(options);
    for (const [name, number] of names) this.#rows.name(number, name);
  }

  /** Writes one block of what waits; `false`: nothing does. */
  writeBlock(): boolean {
    const ring = this.#ring;
    const waiting = Math.min(ring.waiting, BLOCK_ENTRY_BYTES);
    if (waiting === 0) return false;
    this.#lines.clear();
    if (ring.isCut) this.#lines.text('\n');
    const start = this.#lines.length;
    let offset = 0;
    while (offset < waiting) {
      const index = ring.indexAt(offset);
      this.#take(index);
      offset += ring.length(index);
    }
    if (this.#lines.length > start) this.#write();
    ring.free(offset);
    return true;
  }

  #take(index: number): void {
    const before = this.#lines.length;
    try {
      this.#add(index);
      if (this.#lines.length > before) this.#lines.endLine();
    } catch {
      // It would be met again and again.
      this.#lines.cut(before);
      this.#ring.lose(1);
    }
  }

  #add(index: number): void {
    const ring = this.#ring;
    const kind = ring.kind(index);
    if (kind === EntryKind.row) {
      this.#rows.add(readRow(ring.view, index), this.#lines);
    } else if (kind === EntryKind.text) {
      this.#lines.text(ring.text(index).text);
    } else if (kind === EntryKind.name) {
      const { number, text } = ring.text(index);
      this.#rows.name(number, text);
    }
  }

  #write(): void {
    const { bytes, ends } = this.#lines;
    const written = this.#writeAll(bytes);
    this.isThrough = written === bytes.length;
    if (!this.isThrough) this.#ring.lose(ends.filter((end) => end > written).length);
    if (written > 0) this.#ring.isCut = bytes[written - 1] !== NEWLINE;
  }

  /** How many bytes were written: all but for an error. */
  #writeAll(block: Buffer): number {
    let written = 0;
    while (written < block.length) {
      try {
        written += writeSync(this.#fd, block, written);
      } catch (error) {
        if (codeOf(error) !== 'EAGAIN') return written;
        pause(RETRY_MS);
      }
    }
    return written;
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

function pause(ms: number): void {
  Atomics.wait(never, 0, 0, ms);
}

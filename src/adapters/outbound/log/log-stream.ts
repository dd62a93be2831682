// Runs in: primary
import { Worker } from 'node:worker_threads';
import type { AccessRecord } from '../../../application/ports/access-log.ts';
import type { LineOptions } from './access-line.ts';
import { EntryKind, LogRing, TEXT_HEADER_BYTES } from './log-ring.ts';
import { NO_NAME, ROW_BYTES, writeRow } from './log-rows.ts';
import { LogWriter } from './log-writer.ts';
import type { WriterSetup } from './writer-setup.ts';

/** From so many bytes on, lines that need not be seen at once are written all the same. */
const GATHER_BYTES = 64 << 10;
/** Names that the thread is told; then it is told anew. */
const MAX_NAMES = 200_000;
/** A thread that died is not started again at once. */
const RESTART_MS = 1000;
/** Between two looks at whether everything is written. */
const LOOK_MS = 5;
/** For the thread to end what it is writing, at the end of the process. */
const LAST_WRITE_MS = 100;

const THREAD = new URL('../../../../workers/write-log.ts', import.meta.url);

export interface LogStreamOptions extends LineOptions {
  /** Lines come through again, and so many before them did not. */
  readonly onThrough: (lost: number) => void;
  /** The code of the thread. Default: the one that this is made for. */
  readonly thread?: URL;
  /** The thread died; it is started again. */
  readonly onThreadFailed: (error: unknown) => void;
}

/**
 * Lines on their way to a descriptor, in order. A log must never end, or hold up, what it tells of: they are made of rows,
 * and written, by a thread, which may wait for a reader that stalls; nothing here blocks the loop, throws when the disk is
 * full, or grows without bound. What there is no room for, or cannot be written, is dropped and counted.
 */
export class LogStream {
  readonly #ring = new LogRing();
  readonly #fd: number;
  readonly #options: LogStreamOptions;
  readonly #names = new Map<string, number>();
  /** Of the lines that were lost, what `onThrough` was told. */
  #told = 0;
  #over = false;

  constructor(fd: number, options: LogStreamOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#start();
  }

  /** Lines that were lost. */
  get dropped(): number {
    return this.#ring.lost;
  }

  /** When a line was lost last, in ms since 1970; 0: none was. */
  get droppedAt(): number {
    return this.#ring.lostAt;
  }

  get isBehind(): boolean {
    return this.#ring.isBehind;
  }

  /** For a line that somebody waits for. */
  write(line: string): void {
    if (this.#text(EntryKind.text, line, 0)) this.#ring.hurry();
    else this.#ring.lose(1);
  }

  /** For one of many lines. */
  gather(record: AccessRecord, time: number): void {
    const listener = this.#nameOf(record.listener);
    const backend = record.backend === null ? NO_NAME : this.#nameOf(record.backend);
    const tried = record.tried === undefined ? null : Buffer.from(JSON.stringify(record.tried));
    const at = backend < 0 || listener < 0 ? -1 : this.#ring.reserve(EntryKind.row, ROW_BYTES + (tried?.length ?? 0));
    if (at < 0) {
      this.#ring.lose(1);
      return;
    }
    writeRow(this.#ring.view, at, record, time, listener, backend, tried);
    this.#ring.commit();
    if (this.#ring.waiting >= GATHER_BYTES) this.#ring.hurry();
  }

  /** Resolves with true when everything is written or dropped, with false when `timeoutMs` passed before. */
  async end(timeoutMs: number): Promise<boolean> {
    const until = performance.now() + timeoutMs;
    while (!this.#isWritten()) {
      this.#ring.hurry();
      if (performance.now() >= until) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return true;
  }

  /** What waits, when the process is about to end without another turn of its loop. */
  endNow(): void {
    this.#over = true;
    // A write that is under way may be what the reader does not take.
    if (this.#isWritten() || !this.#ring.acquire(LAST_WRITE_MS)) return;
    const writer = new LogWriter(this.#ring, this.#fd, this.#options, this.#names);
    while (writer.writeBlock());
    this.#ring.release();
  }

  #isWritten(): boolean {
    return this.#ring.waiting === 0 && !this.#ring.isWriting;
  }

  /** The number of a name, which the thread has been told; -1: there is no room to tell it. */
  #nameOf(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size === MAX_NAMES) this.#names.clear();
    const number = this.#names.size + 1;
    if (!this.#text(EntryKind.name, name, number)) return -1;
    this.#names.set(name, number);
    return number;
  }

  #text(kind: number, text: string, number: number): boolean {
    const bytes = Buffer.from(text);
    const at = this.#ring.reserve(kind, TEXT_HEADER_BYTES + bytes.length);
    if (at < 0) return false;
    this.#ring.setText(at, number, bytes);
    this.#ring.commit();
    return true;
  }

  #tellLost(): void {
    const { dropped } = this;
    const lost = dropped - this.#told;
    this.#told = dropped;
    if (lost > 0) this.#options.onThrough(lost);
  }

  #start(): void {
    const { forPeople, isoTime, pid } = this.#options;
    const options = { forPeople, isoTime, pid };
    // One that died may have been told names, which rows that wait still use.
    const workerData: WriterSetup = { shared: this.#ring.shared, fd: this.#fd, options, names: this.#names };
    const thread = new Worker(this.#options.thread ?? THREAD, {
      workerData,
      execArgv: [],
      stdout: false,
      stderr: false,
    });
    // All that waited is written, so that a reader who is slow for long is told once, and something was lost before.
    thread.on('message', () => this.#tellLost());
    thread.on('error', (error) => this.#options.onThreadFailed(error));
    thread.once('exit', () => {
      if (this.#over) return;
      // It may have died while it wrote.
      this.#ring.release();
      setTimeout(() => this.#start(), RESTART_MS).unref();
    });
    // Behind the listeners, which hold the process.
    thread.unref();
  }
}

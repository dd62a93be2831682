// Runs in: primary
import type { Boundary } from './ports/boundary.ts';
import { within } from './within.ts';

/** What one part says of the proxy. */
export interface Reasons {
  /** For want of these it cannot serve. */
  readonly missing: readonly string[];
  /** Worth a look although it serves. */
  readonly notes: readonly string[];
}

export const NO_REASONS: Reasons = { missing: [], notes: [] };

export function gather(all: readonly Reasons[]): Reasons {
  return { missing: all.flatMap(({ missing }) => missing), notes: all.flatMap(({ notes }) => notes) };
}

/** For what a drain does at its deadline: resets, kills, the records of both. In ms. */
const DRAIN_GRACE_MS = 5000;

/** A time as reasons tell it. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** A part of the primary that has a life: timers, files, threads, sockets, processes. */
export interface Life {
  readonly name: string;
  /** Resolves when it serves. What it throws refuses the start of the proxy; then it has left nothing behind. */
  start(): unknown;
  /** Resolves when nothing of it is under way. Called once, also while its start is. Later than `deadlineMs` it is left. */
  stop(deadlineMs: number): unknown;

  // The phases of a stop before that, each over for all parts before the next one begins.

  /** Whoever sends clients here is to be told not to; those who come are served. */
  lameDuck?(): void;
  /** Addresses are given up. */
  closePorts?(): void;
  /** Resolves when nobody is served any more. */
  drain?(deadlineMs: number): Promise<unknown>;
  /** The drain was cut short: who is served still is to be reset now. Resolves when nobody is any more. */
  cut?(deadlineMs: number): Promise<unknown>;

  reasons?(): Reasons;
}

/**
 * Starts the parts in order, each when the one before it serves, and stops them in reverse: what receives is started last
 * and stopped first, so that nobody sends into what is closed.
 */
export class Modules<Part extends Life = Life> {
  readonly #parts: readonly Part[];
  readonly #boundary: Boundary;
  /** Those whose start began. */
  readonly #begun: Part[] = [];
  #isStopping = false;

  constructor(parts: readonly Part[], boundary: Boundary) {
    this.#parts = parts;
    this.#boundary = boundary;
  }

  [Symbol.iterator](): Iterator<Part> {
    return this.#parts[Symbol.iterator]();
  }

  /**
   * Resolves with whether all serve; `false`: a stop came before. When one throws, those before it are stopped, each within
   * `deadlineMs`, and it rejects with what was thrown.
   */
  async start(deadlineMs: number): Promise<boolean> {
    for (const part of this.#parts) {
      if (this.#isStopping) return false;
      this.#begun.push(part);
      try {
        await part.start();
      } catch (error) {
        // A stop has its own end.
        if (this.#isStopping) return false;
        this.#begun.pop();
        await this.end(deadlineMs);
        throw error;
      }
    }
    return !this.#isStopping;
  }

  lameDuck(): void {
    this.#isStopping = true;
    this.#eachNow((part) => part.lameDuck?.());
  }

  closePorts(): void {
    this.#isStopping = true;
    this.#eachNow((part) => part.closePorts?.());
  }

  /** Parts hold to the deadline by themselves; one that does not, with what it does at its deadline, is left. */
  drain(deadlineMs: number): Promise<boolean> {
    return this.#each(deadlineMs + DRAIN_GRACE_MS, (part) => part.drain?.(deadlineMs));
  }

  cut(deadlineMs: number): Promise<boolean> {
    return this.#each(deadlineMs, (part) => part.cut?.(deadlineMs));
  }

  /** Whether nothing is under way any more. */
  end(deadlineMs: number): Promise<boolean> {
    this.#isStopping = true;
    return this.#each(deadlineMs, (part) => part.stop(deadlineMs));
  }

  /** What those say that serve, or are about to. */
  reasons(): Reasons {
    const all = this.#begun.map((part) => part.reasons?.() ?? NO_REASONS);
    const missing = this.#parts.length > this.#begun.length ? ['the proxy is starting'] : [];
    return gather([{ missing, notes: [] }, ...all]);
  }

  #eachNow(act: (part: Part) => void): void {
    for (const part of this.#begun.toReversed()) this.#boundary.run('signal', () => act(part));
  }

  /** One after another, whatever becomes of one. Whether all came to their ends in time. */
  async #each(deadlineMs: number, act: (part: Part) => unknown): Promise<boolean> {
    let all = true;
    for (const part of this.#begun.toReversed()) {
      try {
        const done = act(part);
        if (done instanceof Promise && !(await within(deadlineMs, done))) all = false;
      } catch (error) {
        this.#boundary.failed('signal', error);
        all = false;
      }
    }
    return all;
  }
}

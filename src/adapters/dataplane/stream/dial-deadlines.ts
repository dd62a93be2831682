// Runs in: worker
import { SHARE_OF_TURN_MS } from './turn-share.ts';

/** What is to be over at a deadline. */
interface Due {
  readonly startedAt: number;
  timedOut(): void;
}

/**
 * When dials are over at the latest: all have the same time, so the oldest comes due first, and one timer is enough. A timer
 * for each cost a hundredth of a short connection.
 */
export class DialDeadlines {
  readonly #timeoutMs: number;
  /** In the order in which they started. */
  readonly #dials = new Set<Due>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(dial: Due): void {
    this.#dials.add(dial);
    this.#timer ??= this.#later(this.#timeoutMs);
  }

  /** It is decided. */
  remove(dial: Due): void {
    this.#dials.delete(dial);
  }

  /** Behind the poll phase: when this thread was held up, what came in time is read before. */
  #later(ms: number): NodeJS.Timeout {
    return setTimeout(() => setImmediate(() => this.#expire()), ms).unref();
  }

  /** What has come due, as far as its share of a turn goes, for thousands may run out of time together. */
  #expire(): void {
    const now = performance.now();
    for (const dial of this.#dials) {
      const left = dial.startedAt + this.#timeoutMs - now;
      if (left > 0) {
        this.#timer = this.#later(Math.ceil(left));
        return;
      }
      if (performance.now() - now >= SHARE_OF_TURN_MS) {
        setImmediate(() => this.#expire());
        return;
      }
      this.#dials.delete(dial);
      dial.timedOut();
    }
    this.#timer = undefined;
  }
}

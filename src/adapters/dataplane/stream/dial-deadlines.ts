// Runs in: worker

/** Dials that end in one turn: less than 2 ms of it, and Node accepts one client of a listening socket a turn. */
const ENDED_A_TURN = 32;

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

  /** Some of what has come due, and the rest in the next turns, for thousands may run out of time together. */
  #expire(): void {
    const now = performance.now();
    let ended = 0;
    for (const dial of this.#dials) {
      const left = dial.startedAt + this.#timeoutMs - now;
      if (left > 0) {
        this.#timer = this.#later(Math.ceil(left));
        return;
      }
      if (ended++ === ENDED_A_TURN) {
        setImmediate(() => this.#expire());
        return;
      }
      this.#dials.delete(dial);
      dial.timedOut();
    }
    this.#timer = undefined;
  }
}

// Runs in: worker

/**
 * Fills `out` with what the kernel knows of the bytes that a TCP socket was given: how many its peer acknowledged, ms since
 * anything came from there, whether all is acknowledged, whether the peer owes an answer (1 or 0). `false`: it does not tell.
 */
export type LookAtWire = (fd: number, out: Float64Array) => boolean;

const MAX_PERIOD = 10;
const LOOKS_PER_TIMEOUT = 6;

/** Whoever was sent to is looked at once in so many checks, by the shortest timer (ms; 0: off). Checks come every second. */
export function lookPeriod(timers: readonly number[]): number {
  const shortest = Math.min(MAX_PERIOD * LOOKS_PER_TIMEOUT * 1000, ...timers.filter((ms) => ms > 0));
  return Math.max(1, Math.floor(shortest / LOOKS_PER_TIMEOUT / 1000));
}

const told = new Float64Array(4);

/** What the peer of a socket does with what was sent to it. Times are in ms of `performance.now`. */
export class WireWatch {
  #unsettled = false;
  #acked = 0;
  /** Since when the peer has been owing an answer; 0: it does not. */
  #unansweredAt = 0;
  #movedAt = 0;

  /** When bytes moved last, at the latest, as far as `look` saw it. */
  get movedAt(): number {
    return this.#movedAt;
  }

  /** The peer has acknowledged all, as far as `look` saw it. */
  get isSettled(): boolean {
    return !this.#unsettled;
  }

  /** Bytes, or the end, were given to the socket. */
  sent(): void {
    this.#unsettled = true;
  }

  /** `false`: the peer has been owing an answer for `timeoutMs` (0: for any time), and silent. */
  look(now: number, fd: number, look: LookAtWire, timeoutMs: number): boolean {
    if (!this.#unsettled || fd < 0 || !look(fd, told)) return true;
    const [acked = 0, silent = 0, settled = 0, unanswered = 0] = told;
    const progress = acked !== this.#acked;
    this.#acked = acked;
    this.#unsettled = settled === 0;
    if (progress) this.#movedAt = now - silent;
    if (progress || unanswered === 0) {
      this.#unansweredAt = 0;
      return true;
    }
    if (this.#unansweredAt === 0) this.#unansweredAt = now;
    return timeoutMs === 0 || silent < timeoutMs || now - this.#unansweredAt < timeoutMs;
  }
}

// Runs in: primary
import { type BackoffPolicy, backoffMs } from '../domain/backoff.ts';
import type { Clock } from './ports/clock.ts';

/** A worker that served for so long has started well: crashes before it are no loop. In ms. */
export const STABLE_MS = 5_000;
const BACKOFF: BackoffPolicy = { firstMs: 100, capMs: 10_000 };

/** How long to hold back the next start of a worker, by the crashes before it. */
export class RestartBackoff {
  readonly #clock: Clock;
  #crashes = 0;
  #lastCrash = '';
  #pending: { readonly timer: NodeJS.Timeout; readonly at: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Crashes in a row, each soon after its start. */
  get crashes(): number {
    return this.#crashes;
  }

  get lastCrash(): string {
    return this.#lastCrash;
  }

  /** A start is being held back. */
  get pending(): boolean {
    return this.#pending !== null;
  }

  /** Until the start that is held back, in ms; 0 when none is. */
  get restartInMs(): number {
    return this.#pending === null ? 0 : Math.max(0, Math.ceil(this.#pending.at - this.#clock.now()));
  }

  /** A worker crashed after it served for `servedMs`. */
  crashed(what: string, servedMs: number): void {
    this.#crashes = servedMs >= STABLE_MS ? 1 : this.#crashes + 1;
    this.#lastCrash = what;
  }

  /** A worker served for STABLE_MS. */
  stable(): void {
    this.#crashes = 0;
  }

  /** Whether a start must wait; then `start` is called when it need not any more. `pending` must be false. */
  holdBack(start: () => void): boolean {
    const delay = backoffMs(this.#crashes, BACKOFF);
    if (delay === 0) return false;
    const timer = setTimeout(() => {
      this.#pending = null;
      start();
    }, delay);
    this.#pending = { timer, at: this.#clock.now() + delay };
    return true;
  }

  cancel(): void {
    if (this.#pending !== null) clearTimeout(this.#pending.timer);
    this.#pending = null;
  }
}

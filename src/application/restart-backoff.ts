// Runs in: primary
import { RestartBudget } from '../domain/restart-budget.ts';
import type { Clock } from './ports/clock.ts';

/** Holds back starts of workers when they die too soon and too often. */
export class RestartBackoff {
  readonly #clock: Clock;
  readonly #budget = new RestartBudget();
  #deaths = 0;
  #lastCrash = '';
  #pending: { readonly timer: NodeJS.Timeout; readonly at: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Workers that died without having been asked to, since the start. */
  get deaths(): number {
    return this.#deaths;
  }

  /** Deaths in a row that were too soon or too many. */
  crashes(workers: number): number {
    return this.#budget.inARow(this.#clock.now(), workers);
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

  /** One of `workers` died, started at `startedAt` on the clock. */
  died(what: string, startedAt: number, hasServed: boolean, workers: number): void {
    this.#deaths++;
    this.#lastCrash = what;
    this.#budget.died(this.#clock.now(), startedAt, hasServed, workers);
  }

  /** A worker came to accept: starts that were held back because none did need not wait on. */
  cameToServe(workers: number): void {
    this.#budget.cameToServe();
    if (this.#budget.delayMs(this.#clock.now(), workers) === 0) this.cancel();
  }

  /** Whether a start must wait; then `start` is called when it need not any more. `pending` must be false. */
  holdBack(workers: number, start: () => void): boolean {
    const delay = this.#budget.delayMs(this.#clock.now(), workers);
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

import { type BackoffPolicy, backoffMs } from './backoff.ts';

/** Deaths for each worker that cost nothing when they come together: all of them killed by hand, twice. */
const FREE_DEATHS = 2;
/** A worker earns one of them back in so long. In ms. */
const EARN_MS = 10_000;
/** Without a death that was not free, workers are well again. In ms. */
const CALM_MS = 5_000;
/** Code that does not come to serve does not get better by being tried. */
const UNSERVED: BackoffPolicy = { firstMs: 100, capMs: 10_000 };
/** What serves for a while between its deaths serves more than nothing: held back enough not to spin. */
const SERVED: BackoffPolicy = { firstMs: 100, capMs: 2_000 };

/**
 * How long to hold back the next start of a worker, by how soon after their starts and how often workers died; never by
 * what of, for a signal does not say whether it was an operator's or the kernel's for want of memory. Times are in ms of
 * one monotonic clock.
 */
export class RestartBudget {
  #free = Infinity;
  #earnedAt = 0;
  #unserved = 0;
  #served = 0;
  #unservedAt = -Infinity;
  #servedAt = -Infinity;
  #inARow = 0;

  /** Of the `workers` that there should be, one that was started at `startedAt` died. `hasServed`: it had come to accept. */
  died(now: number, startedAt: number, hasServed: boolean, workers: number): void {
    this.#earn(now, workers);
    if (hasServed && this.#free >= 1) {
      this.#free--;
      return;
    }
    this.#inARow++;
    // Those that were started before the last one was judged died with it, and say nothing new.
    if (hasServed && startedAt >= this.#servedAt) {
      this.#served++;
      this.#servedAt = now;
    } else if (!hasServed && startedAt >= this.#unservedAt) {
      this.#unserved++;
      this.#unservedAt = now;
    }
  }

  /** A worker came to accept: what its like died of before that is over. */
  cameToServe(): void {
    this.#unserved = 0;
  }

  /** Deaths that were not free, without a calm of some seconds between them. 0: workers are well. */
  inARow(now: number, workers: number): number {
    this.#earn(now, workers);
    return this.#inARow;
  }

  /** For the next start, in ms; 0: at once. */
  delayMs(now: number, workers: number): number {
    this.#earn(now, workers);
    return Math.max(backoffMs(this.#unserved, UNSERVED), backoffMs(this.#served, SERVED));
  }

  #earn(now: number, workers: number): void {
    const most = FREE_DEATHS * workers;
    this.#free = Math.min(most, this.#free + ((now - this.#earnedAt) * workers) / EARN_MS);
    this.#earnedAt = now;
    if (this.#free < most || this.#unserved > 0) return;
    this.#served = 0;
    // A worker that only just came to serve is no calm yet.
    if (now - Math.max(this.#servedAt, this.#unservedAt) >= CALM_MS) this.#inARow = 0;
  }
}

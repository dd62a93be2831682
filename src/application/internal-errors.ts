// Runs in: primary
import { messageOf } from '../errors.ts';
import { type Boundary, TURNS, type Turn } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';

/** A defect that every client meets must not fill the disk: so many records of a kind of turn in so many ms. */
const MAX_TOLD = 10;
const TOLD_WITHIN_MS = 10_000;

interface Tally {
  count: number;
  told: number;
  untold: number;
  since: number;
}

/** The boundary of each turn, with its books. */
export class InternalErrors implements Boundary {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #tallies = new Map<Turn, Tally>(
    TURNS.map((turn) => [turn, { count: 0, told: 0, untold: 0, since: -Infinity }]),
  );

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Since the start, by turn; every turn has its entry. */
  counts(): ReadonlyMap<Turn, number> {
    return new Map([...this.#tallies].map(([turn, { count }]) => [turn, count]));
  }

  run<T>(turn: Turn, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.failed(turn, error);
      return undefined;
    }
  }

  guard<Arguments extends unknown[]>(
    turn: Turn,
    work: (...given: Arguments) => unknown,
  ): (...given: Arguments) => void {
    return (...given) => {
      const done = this.run(turn, () => work(...given));
      if (done instanceof Promise) done.catch((error: unknown) => this.failed(turn, error));
    };
  }

  failed(turn: Turn, error: unknown): void {
    const tally = this.#tallies.get(turn)!;
    tally.count++;
    const now = this.#clock.now();
    if (now - tally.since >= TOLD_WITHIN_MS) {
      tally.since = now;
      tally.told = 0;
    }
    if (tally.told >= MAX_TOLD) {
      tally.untold++;
      return;
    }
    tally.told++;
    const untold = tally.untold;
    tally.untold = 0;
    try {
      const stack = error instanceof Error ? error.stack : undefined;
      this.#log.error({ turn, reason: messageOf(error), stack, untold }, 'internal error; everything else goes on');
    } catch {
      // The log itself is what fails: the metric tells.
    }
  }
}

// Runs in: primary
import { type Lack, lackOf, TURNED_AWAY } from '../domain/blame.ts';
import type { RefusalReason } from '../domain/entities.ts';

/** Dials that failed one after the other, without one that came through. Times on one monotonic clock, in ms. */
export interface FailingRun {
  readonly since: number;
  last: number;
  count: number;
  /** Of the last one. */
  code: string;
}

/** Hears of each client that was not served for something that this host or the table lacks. */
export interface LackListener {
  happened(lack: Lack, code: string, backendId: string): void;
  /** A client was turned away undialled. */
  turnedAway(reason: RefusalReason): void;
}

/** All dials of a listener fail: that is said when they did for so long, in ms. */
const DOWN_MS = 10_000;
/** Dials of one backend that failed in a row: it is the rule. */
const RULE_COUNT = 3;
/**
 * What a dial told is believed for so long, in ms. Nobody dials when no client comes, as when whoever asks whether we are
 * ready sends none any more: then we do not know, and the next client finds out.
 */
export const BELIEVED_MS = 60_000;
const MAX_BACKENDS = 1000;

/**
 * What became of dials, from the traffic itself: nothing is probed. Only what fails is kept, so that a dial that comes
 * through costs nothing while all is well.
 */
export class DialOutcomes {
  /** By listener, and by backend; the latter only for what is the backend's own fault. */
  readonly #listeners = new Map<string, FailingRun>();
  readonly #backends = new Map<string, FailingRun>();
  readonly #lacks = new Map<Lack, FailingRun>();
  readonly #turnedAway = new Map<RefusalReason, FailingRun>();
  readonly #listener: LackListener | null;

  constructor(listener: LackListener | null = null) {
    this.#listener = listener;
  }

  succeeded(listener: string, backendId: string): void {
    if (this.#listeners.size > 0) this.#listeners.delete(listener);
    if (this.#backends.size > 0) this.#backends.delete(backendId);
  }

  /** `ours`: for something that this host lacks. */
  failed(listener: string, backendId: string, code: string, ours: boolean, now: number): void {
    note(this.#listeners, listener, code, now);
    const lack = ours ? lackOf(code, true) : null;
    if (lack === null) {
      if (this.#backends.size >= MAX_BACKENDS && !this.#backends.has(backendId)) this.#forgetOldest();
      note(this.#backends, backendId, code, now);
    } else {
      note(this.#lacks, lack, code, now);
      this.#listener?.happened(lack, code, backendId);
    }
  }

  /** A client got no connection; counts what no dial told of. */
  refused(reason: RefusalReason, now: number): void {
    if (TURNED_AWAY[reason] === undefined) return;
    note(this.#turnedAway, reason, reason, now);
    this.#listener?.turnedAway(reason);
  }

  /** The run of a listener all of whose dials have been failing for ten seconds; `null`: there is none, or it is too long ago. */
  down(listener: string, now: number): FailingRun | null {
    const run = this.#listeners.get(listener);
    return run !== undefined && run.last - run.since >= DOWN_MS && isBelieved(run, now) ? run : null;
  }

  /** Backends of which the last dials failed, the latest last. */
  failing(now: number): [id: string, run: FailingRun][] {
    return [...this.#backends].filter(([, run]) => run.count >= RULE_COUNT && isBelieved(run, now));
  }

  /** What this host lacked of late. */
  lacks(now: number): [lack: Lack, run: FailingRun][] {
    return [...this.#lacks].filter(([, run]) => isBelieved(run, now));
  }

  /** Why clients were turned away undialled of late. */
  turnedAway(now: number): [reason: RefusalReason, run: FailingRun][] {
    return [...this.#turnedAway].filter(([, run]) => isBelieved(run, now));
  }

  #forgetOldest(): void {
    for (const id of this.#backends.keys()) {
      this.#backends.delete(id);
      return;
    }
  }
}

function isBelieved(run: FailingRun, now: number): boolean {
  return now - run.last < BELIEVED_MS;
}

function note<Key>(runs: Map<Key, FailingRun>, key: Key, code: string, now: number): void {
  const run = runs.get(key);
  // Behind the others: the first one is the one that was heard of least lately.
  runs.delete(key);
  if (run === undefined || !isBelieved(run, now)) {
    runs.set(key, { since: now, last: now, count: 1, code });
  } else {
    run.last = now;
    run.count++;
    run.code = code;
    runs.set(key, run);
  }
}

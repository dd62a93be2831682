// Runs in: primary
import type { EdgeError } from '../errors.ts';
import type { WorkerProcess } from './ports/worker-launcher.ts';
import type { WorkerState, WorkerView } from './worker-views.ts';

export interface Member {
  readonly incarnation: number;
  readonly process: WorkerProcess;
  /** The roll that was the last one when it was started. */
  readonly generation: number;
  readonly startedAt: number;
  /** It was started from what was on disk. */
  readonly fresh: boolean;
  state: WorkerState;
  hasServed: boolean;
  /** Somebody is taking its place: it does not count towards the desired number. */
  leaving: boolean;
  /** It was asked, from outside, to go, before it had come to serve. */
  mayRetire: boolean;
  /** Whose place it takes, until it accepts. */
  replaces: Member | null;
  deadline: NodeJS.Timeout | null;
  /** While it drains: when it resets what is left, on the clock. */
  resetAt: number;
  settleStart: (outcome: boolean | EdgeError) => void;
}

/** The workers that there are, and which of them is next for what. */
export class Crew {
  readonly #members = new Set<Member>();
  readonly #heldBy: (incarnation: number) => number;

  /** `heldBy`: slots that a worker holds. */
  constructor(heldBy: (incarnation: number) => number) {
    this.#heldBy = heldBy;
  }

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<Member> {
    return [...this.#members][Symbol.iterator]();
  }

  add(member: Member): void {
    this.#members.add(member);
  }

  has(member: Member): boolean {
    return this.#members.has(member);
  }

  delete(member: Member): void {
    this.#members.delete(member);
  }

  count(state: WorkerState): number {
    return [...this].filter((member) => member.state === state).length;
  }

  /** Those that count towards the desired number. */
  active(): Member[] {
    return [...this].filter((member) => !member.leaving && member.state !== 'draining');
  }

  /** The next one that roll number `generation` has to replace; one that leaves is being replaced. */
  nextOld(generation: number): Member | undefined {
    return this.active().find((member) => member.generation < generation);
  }

  /**
   * Those that serve nobody yet go first, for what stays accepts already; then the least busy. While they are rolled, the
   * ones that the roll would replace go before all: behind each successor that starts, its predecessor serves.
   */
  mostDispensable(isRolling: boolean): Member | undefined {
    const rank = ({ generation, state, incarnation }: Member) => [
      isRolling ? generation : 0,
      Number(state === 'serving'),
      this.#heldBy(incarnation),
    ];
    return this.active().sort((a, b) => compare(rank(a), rank(b)))[0];
  }

  list(now: number): WorkerView[] {
    return [...this].map(({ process, incarnation, state, resetAt }) => ({
      pid: process.pid,
      incarnation,
      state,
      connections: this.#heldBy(incarnation),
      resetInMs: state === 'draining' ? Math.max(0, Math.ceil(resetAt - now)) : null,
    }));
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value - b[i]!;
  return 0;
}

/** How the log names a worker. */
export function named({ incarnation, process }: Member): Readonly<Record<string, unknown>> {
  return { incarnation, worker: process.pid };
}

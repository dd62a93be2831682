// Runs in: worker
import type { DataPlaneEvent } from '../../../application/ports/data-plane.ts';

/** What nobody waits for may wait for company, for so long at most, in ms, or until there are so many. */
const WAIT_MS = 5;
const WAIT_EVENTS = 256;

/** Events of one call, and of one turn: the receiver takes some us for each. */
const MOST_EVENTS = 256;

/** A client waits for what these lead to. */
const URGENT: ReadonlySet<DataPlaneEvent['type']> = new Set(['preread', 'connectFailed', 'settled']);

/**
 * Node accepts one client of a listening socket a turn. While each turn brings another, those that came wait for company
 * for so long, in ms: a short turn alone would send a message for every client. Measured: 1 ms carries 1.25 times the short
 * connections for each CPU-second.
 */
const GATHER_MS = 1;

/**
 * Collects what happens during one turn of the event loop, or a few of them, and hands it over at once. setImmediate runs
 * after the loop's poll phase, when every socket that was ready has been served; and never inside a method of the engine.
 */
export class EventBatch {
  readonly #deliver: (events: readonly DataPlaneEvent[]) => void;
  readonly #events: DataPlaneEvent[] = [];
  readonly #afterwards = new Map<DataPlaneEvent, () => void>();
  #timer: NodeJS.Timeout | undefined;
  #immediate = false;
  /** It is not to wait for another client. */
  #pressing = false;
  /** A client came in this turn. */
  #another = false;
  #gatheredSince = 0;
  readonly #endOfTurn = () => {
    if (this.#another && !this.#pressing && performance.now() - this.#gatheredSince < GATHER_MS) {
      this.#another = false;
      setImmediate(this.#endOfTurn);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#immediate = false;
    this.#pressing = false;
    this.#another = false;
    // Before the call: what it causes belongs to a later batch, also if it throws.
    const events = this.#events.splice(0, MOST_EVENTS);
    if (events.length === 0) return;
    try {
      this.#deliver(events);
    } finally {
      if (this.#afterwards.size > 0) for (const event of events) this.#actAfter(event);
      // The next turn's.
      if (this.#events.length > 0) this.#press();
    }
  };
  /** By the timer too: a turn begins with its timers, and what it brings afterwards would be a second batch. */
  readonly #press = () => {
    this.#pressing = true;
    this.#atEndOfTurn();
  };

  constructor(deliver: (events: readonly DataPlaneEvent[]) => void) {
    this.#deliver = deliver;
  }

  push(event: DataPlaneEvent): void {
    const count = this.#events.push(event);
    if (URGENT.has(event.type) || count >= WAIT_EVENTS) this.#press();
    else if (event.type === 'accepted') this.#gather();
    else if (!this.#immediate) this.#timer ??= setTimeout(this.#press, WAIT_MS);
  }

  /** Somebody waits for what this event leads to: it is delivered this turn, and `then` runs right after. */
  pushFirst(event: DataPlaneEvent, then: () => void): void {
    this.#afterwards.set(event, then);
    this.#events.push(event);
    this.#press();
  }

  #gather(): void {
    this.#another = true;
    if (!this.#immediate) this.#gatheredSince = performance.now();
    this.#atEndOfTurn();
  }

  #atEndOfTurn(): void {
    if (this.#immediate) return;
    this.#immediate = true;
    setImmediate(this.#endOfTurn);
  }

  #actAfter(event: DataPlaneEvent): void {
    const act = this.#afterwards.get(event);
    this.#afterwards.delete(event);
    act?.();
  }

  /** How much is to be done after deliveries. */
  get afterwards(): number {
    return this.#afterwards.size;
  }

  /** Whether an event that was pushed is still to be delivered. */
  holds(event: DataPlaneEvent): boolean {
    return this.#events.includes(event);
  }

  /** Takes back an event that has come to nothing, unless it was delivered. */
  withdraw(event: DataPlaneEvent): void {
    const at = this.#events.indexOf(event);
    if (at >= 0) this.#events.splice(at, 1);
  }
}

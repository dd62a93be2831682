// Runs in: worker
import type { DataPlaneEvent } from '../../../application/ports/data-plane.ts';

/**
 * Collects what happens during one turn of the event loop and hands it over at once. setImmediate runs after the loop's
 * poll phase, when every socket that was ready has been served; and never inside a method of the engine.
 */
export class EventBatch {
  readonly #deliver: (events: readonly DataPlaneEvent[]) => void;
  #events: DataPlaneEvent[] = [];
  readonly #flush = () => {
    const events = this.#events;
    // Before the call: what it causes belongs to the next batch, also if it throws.
    this.#events = [];
    this.#deliver(events);
  };

  constructor(deliver: (events: readonly DataPlaneEvent[]) => void) {
    this.#deliver = deliver;
  }

  push(event: DataPlaneEvent): void {
    if (this.#events.push(event) === 1) setImmediate(this.#flush);
  }
}

// Runs in: worker

/** What one kind of work may take of one turn of the loop, in ms: closing a connection takes some 50 us. */
export const SHARE_OF_TURN_MS = 2;

/** Does what has come due, as far as its share of a turn goes, and the rest in the next ones: Node runs all timers at once. */
export class TurnShare {
  #due: (() => void)[] = [];

  /** In this turn or a later one, in the order of these calls. */
  do(act: () => void): void {
    if (this.#due.push(act) === 1) setImmediate(() => this.#run());
  }

  #run(): void {
    const start = performance.now();
    const due = this.#due;
    let at = 0;
    // What these cause to come due is appended.
    while (at < due.length && performance.now() - start < SHARE_OF_TURN_MS) due[at++]!();
    this.#due = due.slice(at);
    if (this.#due.length > 0) setImmediate(() => this.#run());
  }
}

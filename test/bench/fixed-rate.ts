/**
 * Requests at a constant rate, an open loop: request k is due k / rate after the start, on connection k modulo their
 * number, whatever became of those before. Latency counts from when a request was due. One that waits because the
 * connection's answer before is late has that wait in its latency, so that a stall shows with all that it held up
 * ("coordinated omission" is what leaving that out is called). Times in ms.
 */
export class FixedRate {
  readonly #interval: number;
  readonly #start: number;
  /** By request; NaN until answered. */
  readonly #latency: Float64Array;
  /** By request: how late it was sent although its connection was free, which is the generator's own doing. */
  readonly #late: Float64Array;
  /** By connection: the request that is out or comes next. */
  readonly #next: Uint32Array;
  readonly #busy: Uint8Array;
  #due = 0;
  #answered = 0;

  constructor(options: { rate: number; requests: number; connections: number; start: number }) {
    this.#interval = 1000 / options.rate;
    this.#start = options.start;
    this.#latency = new Float64Array(options.requests).fill(Number.NaN);
    this.#late = new Float64Array(options.requests).fill(Number.NaN);
    this.#next = Uint32Array.from({ length: options.connections }, (_, connection) => connection);
    this.#busy = new Uint8Array(options.connections);
  }

  get done(): boolean {
    return this.#answered === this.#latency.length;
  }

  /** When the last request is due. */
  get end(): number {
    return this.#at(this.#latency.length - 1);
  }

  /** Sends on every free connection whose request is due by `now`. */
  advance(now: number, send: (connection: number) => void): void {
    const connections = this.#next.length;
    for (; this.#due < this.#latency.length && this.#at(this.#due) <= now; this.#due++) {
      const connection = this.#due % connections;
      if (this.#busy[connection] === 1) continue;
      this.#late[this.#due] = now - this.#at(this.#due);
      this.#busy[connection] = 1;
      send(connection);
    }
  }

  /** The answer is here. Whether the connection's next request is due already, and must be sent now. */
  answered(connection: number, now: number): boolean {
    const request = this.#next[connection]!;
    const next = request + this.#next.length;
    this.#latency[request] = now - this.#at(request);
    this.#answered++;
    this.#next[connection] = next;
    const overdue = next < this.#due;
    this.#busy[connection] = overdue ? 1 : 0;
    return overdue;
  }

  /**
   * Latencies in ms of the requests from number `first` on, sorted. One that has no answer counts with the time that it
   * has waited by `now`: leaving it out would hide the worst.
   */
  latencies(first: number, now: number): Float64Array {
    return this.#latency
      .subarray(first)
      .map((latency, i) => (Number.isNaN(latency) ? Math.max(0, now - this.#at(first + i)) : latency))
      .sort();
  }

  /** The generator's own delays in ms, from request `first` on, sorted. */
  delays(first: number): Float64Array {
    return this.#late
      .subarray(first)
      .filter((late) => !Number.isNaN(late))
      .sort();
  }

  #at(request: number): number {
    return this.#start + request * this.#interval;
  }
}

// Runs in: worker

/** Clients are left to other processes for so long at most, in ms; then so many are taken all the same. */
const PATIENCE_MS = 100;
const ALLOWANCE = 64;

/**
 * When an engine leaves clients to the other processes that accept on the same sockets. Node has no way to pause a
 * listening socket, so it is closed, and asked for again later.
 */
export class AcceptGate {
  readonly #close: () => void;
  readonly #reopen: () => void;
  #limit = 0;
  #allowance = 0;
  #patience: NodeJS.Timeout | undefined;

  /** `close`: accept no more. `reopen`: accept again, some time from now. */
  constructor(close: () => void, reopen: () => void) {
    this.#close = close;
    this.#reopen = reopen;
  }

  get isClosed(): boolean {
    return this.#patience !== undefined;
  }

  /** 0: no limit. */
  setLimit(limit: number, connections: number): void {
    this.#limit = limit;
    this.left(connections);
  }

  /** There is one connection more. */
  accepted(connections: number): void {
    if (this.#patience !== undefined || this.#limit === 0 || connections < this.#limit) return;
    if (this.#allowance-- > 0) return;
    this.#close();
    this.#patience = setTimeout(() => this.#open(ALLOWANCE), PATIENCE_MS);
  }

  /** There are fewer connections. */
  left(connections: number): void {
    if (this.#patience === undefined) return;
    // Not with the first one that leaves: each change costs a message and a socket.
    if (this.#limit === 0 || connections + this.#limit / 16 < this.#limit) this.#open(0);
  }

  /** Nothing is accepted any more. */
  stop(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #open(allowance: number): void {
    this.stop();
    this.#allowance = allowance;
    this.#reopen();
  }
}

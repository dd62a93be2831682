/** Backends that one worker is told of by number: far more than a table usually has. */
export const MAX_BACKEND_NUMBERS = 1 << 16;

interface Told {
  readonly number: number;
  readonly host: string;
  readonly port: number;
}

/** Under which number a worker knows which backend: it learns an address once, and again when it changed. */
export class BackendNumbers {
  readonly #tell: (number: number, id: string, host: string, port: number) => void;
  readonly #told = new Map<string, Told>();

  /** `tell`: the worker is to hear this before it hears of the number again. */
  constructor(tell: (number: number, id: string, host: string, port: number) => void) {
    this.#tell = tell;
  }

  numberOf(id: string, host: string, port: number): number {
    const told = this.#told.get(id);
    if (told !== undefined && told.host === host && told.port === port) return told.number;
    // Backends come and go for years: all are told anew, each under a number that was another's.
    if (told === undefined && this.#told.size === MAX_BACKEND_NUMBERS) this.#told.clear();
    const number = told?.number ?? this.#told.size;
    this.#told.set(id, { number, host, port });
    this.#tell(number, id, host, port);
    return number;
  }
}

import type { Conn, DataPlaneEvent, PrereadOptions } from '../../src/application/ports/data-plane.ts';

type Of<T extends DataPlaneEvent['type']> = Extract<DataPlaneEvent, { type: T }>;

interface Preread {
  readonly copy: Buffer;
  readonly told: Uint8Array;
  readonly maxBytes: number;
}

/** Holds what is told of prereads against what the port promises of them, for `Rig`. */
export class PrereadFollower {
  readonly #wrong: (promise: string) => void;
  readonly #options = new Map<number, PrereadOptions>();
  /** What was told last of each connection. */
  readonly #prereads = new Map<Conn, Preread>();
  readonly #asked = new Set<Conn>();

  constructor(wrong: (promise: string) => void) {
    this.#wrong = wrong;
  }

  /** Some listener has prereads. */
  get any(): boolean {
    return this.#options.size > 0;
  }

  listens(listener: number, preread: PrereadOptions | undefined): void {
    if (preread !== undefined) this.#options.set(listener, preread);
  }

  asks(conn: Conn): void {
    if (this.#prereads.has(conn)) this.#asked.add(conn);
    this.#spoil(conn);
  }

  takesBack(conn: Conn): void {
    this.#asked.delete(conn);
    this.#spoil(conn);
  }

  accepted({ conn, listener, preread }: Of<'accepted'>): void {
    const options = this.#options.get(listener);
    if ((preread === undefined) !== (options === undefined))
      this.#wrong(`'accepted' with a preread that is ${preread}`);
    if (preread !== undefined && options !== undefined) this.#keep(conn, preread, options.maxBytes);
  }

  told({ conn, preread, complete }: Of<'preread'>): void {
    if (!this.#asked.delete(conn)) this.#wrong(`'preread' that was not asked for`);
    const before = this.#prereads.get(conn);
    if (before === undefined) return;
    if (preread.length <= before.copy.length && !complete) this.#wrong(`'preread' without another byte`);
    if (preread.length === before.maxBytes && !complete) this.#wrong(`'preread' that is full and not complete`);
    if (!before.copy.equals(preread.subarray(0, before.copy.length))) this.#wrong('bytes of a preread changed');
    this.#keep(conn, preread, before.maxBytes);
  }

  closed(conn: Conn): void {
    this.#prereads.delete(conn);
    this.#asked.delete(conn);
  }

  #keep(conn: Conn, preread: Uint8Array, maxBytes: number): void {
    if (preread.length > maxBytes) this.#wrong(`a preread of ${preread.length} bytes`);
    this.#prereads.set(conn, { copy: Buffer.from(preread), told: preread, maxBytes });
  }

  /** What was told is the receiver's own: what becomes of it changes nothing. */
  #spoil(conn: Conn): void {
    this.#prereads.get(conn)?.told.fill(0);
  }
}

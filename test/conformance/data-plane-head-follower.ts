import type { Conn, DataPlaneEvent, HeadOptions } from '../../src/application/ports/data-plane.ts';

type Of<T extends DataPlaneEvent['type']> = Extract<DataPlaneEvent, { type: T }>;

interface Head {
  readonly copy: Buffer;
  readonly told: Uint8Array;
  readonly maxBytes: number;
}

/** Holds what is told of heads against what the port promises of them, for `Rig`. */
export class HeadFollower {
  readonly #wrong: (promise: string) => void;
  readonly #options = new Map<number, HeadOptions>();
  /** What was told last of each connection. */
  readonly #heads = new Map<Conn, Head>();
  readonly #asked = new Set<Conn>();

  constructor(wrong: (promise: string) => void) {
    this.#wrong = wrong;
  }

  /** Some listener has heads. */
  get any(): boolean {
    return this.#options.size > 0;
  }

  listens(listener: number, head: HeadOptions | undefined): void {
    if (head !== undefined) this.#options.set(listener, head);
  }

  asks(conn: Conn): void {
    if (this.#heads.has(conn)) this.#asked.add(conn);
    this.#spoil(conn);
  }

  takesBack(conn: Conn): void {
    this.#asked.delete(conn);
    this.#spoil(conn);
  }

  accepted({ conn, listener, head }: Of<'accepted'>): void {
    const options = this.#options.get(listener);
    if ((head === undefined) !== (options === undefined)) this.#wrong(`'accepted' with a head that is ${head}`);
    if (head !== undefined && options !== undefined) this.#keep(conn, head, options.maxBytes);
  }

  told({ conn, head, complete }: Of<'head'>): void {
    if (!this.#asked.delete(conn)) this.#wrong(`'head' that was not asked for`);
    const before = this.#heads.get(conn);
    if (before === undefined) return;
    if (head.length <= before.copy.length && !complete) this.#wrong(`'head' without another byte`);
    if (head.length === before.maxBytes && !complete) this.#wrong(`'head' that is full and not complete`);
    if (!before.copy.equals(head.subarray(0, before.copy.length))) this.#wrong('bytes of a head changed');
    this.#keep(conn, head, before.maxBytes);
  }

  closed(conn: Conn): void {
    this.#heads.delete(conn);
    this.#asked.delete(conn);
  }

  #keep(conn: Conn, head: Uint8Array, maxBytes: number): void {
    if (head.length > maxBytes) this.#wrong(`a head of ${head.length} bytes`);
    this.#heads.set(conn, { copy: Buffer.from(head), told: head, maxBytes });
  }

  /** What was told is the receiver's own: what becomes of it changes nothing. */
  #spoil(conn: Conn): void {
    this.#heads.get(conn)?.told.fill(0);
  }
}

// Runs in: worker
import type { Conn, DataPlaneEvent, PrereadOptions } from '../../../application/ports/data-plane.ts';
import type { ClientAddress } from '../../../domain/client-address.ts';
import type { EventBatch } from './event-batch.ts';
import type { Side } from './side.ts';

/** A client of a listener with `PrereadOptions`. */
export interface PrereadSource {
  readonly conn: Conn;
  readonly listener: number;
  readonly address: ClientAddress;
  readonly options: PrereadOptions;
  /** `accepted` is being told. */
  readonly told: () => void;
}

export type Events = Pick<EventBatch, 'push' | 'pushFirst' | 'holds' | 'withdraw'>;

/** The first bytes of a client, from its accept until they go to a backend. It is told of (`accepted`) when they are there. */
export class ClientPreread {
  readonly #source: PrereadSource;
  readonly #events: Events;
  readonly #client: Pick<Side, 'ended' | 'prereadMore' | 'stopPreread'>;
  readonly #timer: NodeJS.Timeout;
  #bytes: Buffer = Buffer.alloc(0);
  /** Bytes that were told. */
  #told = 0;
  #expired = false;
  #announced = false;
  /** The client is being read, for `accepted` or for an answer. */
  #awaited = true;
  #answer: DataPlaneEvent | null = null;

  constructor(source: PrereadSource, events: Events, client: Pick<Side, 'ended' | 'prereadMore' | 'stopPreread'>) {
    this.#source = source;
    this.#events = events;
    this.#client = client;
    this.#timer = setTimeout(() => {
      this.#expired = true;
      if (this.#awaited) this.#tell();
    }, source.options.timeoutMs);
    client.prereadMore();
  }

  get announced(): boolean {
    return this.#announced;
  }

  /** Tells of the client, if nobody knows it yet. */
  announce(): void {
    if (!this.#announced) this.#tell();
  }

  /** More is wanted. */
  ask(): void {
    if (this.#awaited || (this.#answer !== null && this.#events.holds(this.#answer))) return;
    this.#awaited = true;
    // Bytes can have come after the last answer, where Node had started a read already.
    if (this.#isComplete || this.#length > this.#told) this.#tell();
    else this.#client.prereadMore();
  }

  /** Nobody wants the answer any more. */
  takeBack(): void {
    if (this.#awaited) this.#client.stopPreread();
    this.#awaited = false;
    if (this.#answer !== null) this.#events.withdraw(this.#answer);
    this.#answer = null;
  }

  /** Returns how many bytes may be read next, at most; 0: any number. What is beyond `maxBytes` is only for the backend. */
  add(bytes: Buffer): number {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (this.#awaited) this.#tell();
    return this.#source.options.maxBytes - this.#length;
  }

  /** The client sent its end. */
  end(): void {
    if (this.#awaited) this.#tell();
  }

  canSkip(skip: number): boolean {
    return Number.isInteger(skip) && skip >= 0 && skip <= this.#told;
  }

  /** What the backend is to get. */
  rest(skip: number): Buffer {
    return this.#bytes.subarray(skip);
  }

  /** The connection is open, or ending. */
  stop(): void {
    clearTimeout(this.#timer);
    this.takeBack();
  }

  get #length(): number {
    return Math.min(this.#bytes.length, this.#source.options.maxBytes);
  }

  get #isComplete(): boolean {
    return this.#expired || this.#client.ended || this.#length === this.#source.options.maxBytes;
  }

  #tell(): void {
    const { conn, listener, address } = this.#source;
    this.#awaited = false;
    this.#client.stopPreread();
    // A copy: the receiver may write into its own.
    const preread = new Uint8Array(this.#bytes.subarray(0, this.#length));
    this.#told = preread.length;
    if (this.#announced) {
      this.#answer = { type: 'preread', conn, preread, complete: this.#isComplete };
      this.#events.push(this.#answer);
    } else {
      this.#announced = true;
      this.#source.told();
      this.#events.push({ type: 'accepted', conn, listener, address, preread });
    }
  }
}

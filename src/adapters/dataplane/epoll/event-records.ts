// Runs in: worker
import { getSystemErrorName } from 'node:util';
import type { DataPlaneEvent } from '../../../application/ports/data-plane.ts';
import { ClientAddress } from '../../../domain/client-address.ts';
import { CLOSE_REASONS } from '../../../domain/close-reasons.ts';

/** Bytes of one record: `struct record` of native/batch.h. */
const RECORD_BYTES = 64;
/** Of the address, or the numbers. */
const VALUE_AT = 16;

// `enum record_type` of native/batch.h.
const ACCEPTED = 1;
const CONNECTED = 2;
const CONNECT_FAILED = 3;
const CLOSED = 4;
const ACCEPTED_WITH_PREREAD = 6;
const HEAD = 7;
const SETTLED = 8;

/** Fetches the bytes that a record tells of; see `NativeEngine.preread`. */
export type FetchPreread = (conn: number, isAnswer: boolean) => Uint8Array | undefined;

/** Reads the records that the native engine writes. It writes to the same buffer until it needs a larger one. */
export class EventRecords {
  readonly #fetchPreread: FetchPreread;
  #buffer = new ArrayBuffer(0);
  #integers = new Int32Array(0);
  #numbers = new Float64Array(0);
  #bytes = Buffer.alloc(0);

  constructor(fetchPreread: FetchPreread) {
    this.#fetchPreread = fetchPreread;
  }

  /** The first `count` records of `buffer` as events, without answers that were taken back. */
  read(count: number, buffer: ArrayBuffer): DataPlaneEvent[] {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#integers = new Int32Array(buffer);
      this.#numbers = new Float64Array(buffer);
      this.#bytes = Buffer.from(buffer);
    }
    const events: DataPlaneEvent[] = [];
    for (let i = 0; i < count; i++) {
      const event = this.#event(i);
      if (event !== null) events.push(event);
    }
    return events;
  }

  #event(index: number): DataPlaneEvent | null {
    const at = (index * RECORD_BYTES) / Int32Array.BYTES_PER_ELEMENT;
    const integers = this.#integers;
    const type = integers[at]!;
    const conn = integers[at + 1]!;
    const code = integers[at + 2]!;
    const number = (index * RECORD_BYTES + VALUE_AT) / Float64Array.BYTES_PER_ELEMENT;
    const numbers = this.#numbers;
    switch (type) {
      case ACCEPTED:
        return { type: 'accepted', conn, listener: code, address: this.#address(index, integers[at + 3]!) };
      case CONNECTED:
        return { type: 'connected', conn, rttMs: numbers[number]! };
      case CONNECT_FAILED:
        return { type: 'connectFailed', conn, code: getSystemErrorName(-code), here: integers[at + 3] !== 0 };
      case CLOSED:
        return {
          type: 'closed',
          conn,
          reason: CLOSE_REASONS[code]!,
          bytesToBackend: numbers[number + 1]!,
          bytesToClient: numbers[number + 2]!,
          durationMs: numbers[number]!,
        };
      case ACCEPTED_WITH_PREREAD: {
        const preread = this.#fetchPreread(conn, false) ?? new Uint8Array(0);
        return { type: 'accepted', conn, listener: code, address: this.#address(index, integers[at + 3]!), preread };
      }
      case HEAD: {
        const preread = this.#fetchPreread(conn, true);
        return preread === undefined ? null : { type: 'preread', conn, preread, complete: code !== 0 };
      }
      case SETTLED:
        return { type: 'settled' };
      default:
        return { type: 'refused', listener: code, address: this.#address(index, integers[at + 3]!) };
    }
  }

  /** `length` bytes in network order. */
  #address(index: number, length: number): ClientAddress {
    const start = index * RECORD_BYTES + VALUE_AT;
    return ClientAddress.of(this.#bytes.subarray(start, start + length));
  }
}

// Runs in: primary, thread
import type { AccessRecord } from '../../../application/ports/access-log.ts';
import { ClientAddress } from '../../../domain/client-address.ts';
import { CLOSE_REASONS } from '../../../domain/close-reasons.ts';
import { countryOf, numberOfCountry } from '../../../domain/countries.ts';
import { PICK_REASONS, REFUSAL_REASONS } from '../../../domain/entities.ts';
import { ENTRY_HEADER_BYTES } from './log-ring.ts';

// A connection as an entry of the ring: numbers at fixed places, behind them the dials that failed as JSON, if any did.
export const WHYS = [...PICK_REASONS, ...REFUSAL_REASONS] as const;
export const CLOSES = [...CLOSE_REASONS, 'worker_died', 'refused'] as const;

// Header 8: length 4, kind 1, family 1, why 1, close 1.
const FAMILY_AT = 5;
const WHY_AT = 6;
const CLOSE_AT = 7;
const TIME_AT = ENTRY_HEADER_BYTES;
const ADDRESS_AT = TIME_AT + 8;
const NUMBERS_AT = ADDRESS_AT + 16;
const VERSION_AT = NUMBERS_AT + 5 * 8;
const LISTENER_AT = VERSION_AT + 8;
const BACKEND_AT = LISTENER_AT + 4;
const COUNTRY_AT = BACKEND_AT + 4;
const ATTEMPTS_AT = COUNTRY_AT + 2;
const TRIED_AT = ATTEMPTS_AT + 2;
/** Of a connection whose dials did not fail. */
export const ROW_BYTES = TRIED_AT + 4;

/** Numbers of names begin with 1. */
export const NO_NAME = 0;

/** What a row says beside names: `listener` and `backend` are their numbers. */
export interface Row extends Omit<AccessRecord, 'listener' | 'backend' | 'tried'> {
  /** ms since 1970. */
  readonly time: number;
  readonly listener: number;
  readonly backend: number;
  /** JSON; `''`: no dial failed. */
  readonly tried: string;
}

/** `time`, `listener` and `backend` as `Row` has them; `triedBytes`: JSON, `null` when no dial failed. */
export function writeRow(
  view: DataView,
  at: number,
  record: AccessRecord,
  time: number,
  listener: number,
  backend: number,
  triedBytes: Uint8Array | null,
): void {
  const { client, country } = record;
  view.setUint8(at + FAMILY_AT, client.family);
  view.setUint8(at + WHY_AT, WHYS.indexOf(record.why));
  view.setUint8(at + CLOSE_AT, CLOSES.indexOf(record.close));
  view.setFloat64(at + TIME_AT, time);
  view.setUint32(at + ADDRESS_AT, client.w0);
  view.setUint32(at + ADDRESS_AT + 4, client.w1);
  view.setUint32(at + ADDRESS_AT + 8, client.w2);
  view.setUint32(at + ADDRESS_AT + 12, client.w3);
  view.setFloat64(at + NUMBERS_AT, record.pickMs);
  view.setFloat64(at + NUMBERS_AT + 8, record.connectMs);
  view.setFloat64(at + NUMBERS_AT + 16, record.totalMs);
  view.setFloat64(at + NUMBERS_AT + 24, record.bytesToBackend);
  view.setFloat64(at + NUMBERS_AT + 32, record.bytesToClient);
  view.setFloat64(at + VERSION_AT, record.routingVersion);
  view.setUint32(at + LISTENER_AT, listener);
  view.setUint32(at + BACKEND_AT, backend);
  view.setUint16(at + COUNTRY_AT, numberOfCountry(country));
  view.setUint16(at + ATTEMPTS_AT, record.attempts);
  view.setUint32(at + TRIED_AT, triedBytes === null ? 0 : triedBytes.length);
  if (triedBytes !== null) new Uint8Array(view.buffer, view.byteOffset + at + ROW_BYTES).set(triedBytes);
}

export function readRow(view: DataView, at: number): Row {
  const w0 = view.getUint32(at + ADDRESS_AT);
  const w1 = view.getUint32(at + ADDRESS_AT + 4);
  const w2 = view.getUint32(at + ADDRESS_AT + 8);
  const w3 = view.getUint32(at + ADDRESS_AT + 12);
  const tried = view.getUint32(at + TRIED_AT);
  return {
    client: view.getUint8(at + FAMILY_AT) === 4 ? new ClientAddress(4, w0) : new ClientAddress(6, w0, w1, w2, w3),
    why: WHYS[view.getUint8(at + WHY_AT)]!,
    close: CLOSES[view.getUint8(at + CLOSE_AT)]!,
    time: view.getFloat64(at + TIME_AT),
    pickMs: view.getFloat64(at + NUMBERS_AT),
    connectMs: view.getFloat64(at + NUMBERS_AT + 8),
    totalMs: view.getFloat64(at + NUMBERS_AT + 16),
    bytesToBackend: view.getFloat64(at + NUMBERS_AT + 24),
    bytesToClient: view.getFloat64(at + NUMBERS_AT + 32),
    routingVersion: view.getFloat64(at + VERSION_AT),
    listener: view.getUint32(at + LISTENER_AT),
    backend: view.getUint32(at + BACKEND_AT),
    country: countryOf(view.getUint16(at + COUNTRY_AT)),
    attempts: view.getUint16(at + ATTEMPTS_AT),
    // TextDecoder takes no shared memory.
    tried:
      tried === 0 ? '' : Buffer.from(new Uint8Array(view.buffer, view.byteOffset + at + ROW_BYTES, tried)).toString(),
  };
}

import { ClientAddress } from '../domain/client-address.ts';
import { CLOSE_REASONS, type CloseReason } from '../domain/close-reasons.ts';
import { PICK_REASONS, type PickReason } from '../domain/entities.ts';

/**
 * The messages that every connection costs, as records of fixed size: to read one is to read numbers where they stand. They
 * are little-endian; the first byte says which record it is. What lives no longer than its turn is read into an
 * object that the reader keeps for that.
 */
export const RecordKind = { pick: 1, connected: 2, closed: 3, assigned: 4 } as const;

const PICK_BYTES = 32;
const CONNECTED_BYTES = 24;
const CLOSED_BYTES = 64;
const ASSIGNED_BYTES = 16;

const NOBODY: readonly [] = [];

const BYTES: readonly number[] = [0, PICK_BYTES, CONNECTED_BYTES, CLOSED_BYTES, ASSIGNED_BYTES];

/** 0: there is no such record. */
export function recordBytes(kind: number): number {
  return BYTES[kind] ?? 0;
}

/** Room for records, and where it is: see `FrameWriter`. */
export interface RecordSink {
  record(bytes: number): number;
  readonly view: DataView;
}

function begin(sink: RecordSink, kind: number, bytes: number): number {
  const at = sink.record(bytes);
  sink.view.setUint8(at, kind);
  return at;
}

/** Worker -> primary: a client's first pick. One that was dialled for before travels as a message. */
export interface PickRecord {
  readonly seq: number;
  readonly listener: number;
  readonly address: ClientAddress;
  /** Nobody was dialled for it before. */
  readonly tried: readonly [];
}

// A variable of the environment has no room for as many listeners as 16 bits can name.
// kind 1, family 1, listener 2, unused 4, seq 8, address 16
export function writePick(sink: RecordSink, seq: number, listener: number, address: ClientAddress): void {
  const at = begin(sink, RecordKind.pick, PICK_BYTES);
  const { view } = sink;
  view.setUint8(at + 1, address.family);
  view.setUint16(at + 2, listener, true);
  view.setUint32(at + 4, 0);
  view.setFloat64(at + 8, seq, true);
  view.setUint32(at + 16, address.w0);
  view.setUint32(at + 20, address.w1);
  view.setUint32(at + 24, address.w2);
  view.setUint32(at + 28, address.w3);
}

/** `null`, and below `false`: a value is out of its range, and the record is to be dropped. */
export function readPick(view: DataView, at: number): PickRecord | null {
  const family = view.getUint8(at + 1);
  const seq = view.getFloat64(at + 8, true);
  if ((family !== 4 && family !== 6) || !isSeq(seq)) return null;
  const w0 = view.getUint32(at + 16);
  const w1 = view.getUint32(at + 20);
  const w2 = view.getUint32(at + 24);
  const w3 = view.getUint32(at + 28);
  const address = family === 4 ? new ClientAddress(4, w0) : new ClientAddress(6, w0, w1, w2, w3);
  return { seq, listener: view.getUint16(at + 2, true), address, tried: NOBODY };
}

/** Worker -> primary: the backend accepted. */
export interface ConnectedRecord {
  seq: number;
  rttMs: number;
}

// kind 1, unused 7, seq 8, rtt 8
export function writeConnected(sink: RecordSink, seq: number, rttMs: number): void {
  const at = begin(sink, RecordKind.connected, CONNECTED_BYTES);
  sink.view.setFloat64(at + 8, seq, true);
  sink.view.setFloat64(at + 16, rttMs, true);
}

export function readConnected(view: DataView, at: number, into: ConnectedRecord): boolean {
  into.seq = view.getFloat64(at + 8, true);
  into.rttMs = view.getFloat64(at + 16, true);
  return isSeq(into.seq) && isQuantity(into.rttMs);
}

/** Worker -> primary: the connection is over. Times in ms. */
export interface ClosedRecord {
  seq: number;
  reason: CloseReason;
  /** It was connected as well, and this is the first word of it. */
  connected: boolean;
  attempts: number;
  bytesToBackend: number;
  bytesToClient: number;
  pickMs: number;
  connectMs: number;
  totalMs: number;
}

// kind 1, reason 1, connected 1, attempts 1, unused 4, seq 8, bytes 8 and 8, pick 8, connect 8, total 8, unused 8
export function writeClosed(sink: RecordSink, seq: number, report: Omit<ClosedRecord, 'seq'>): void {
  const at = begin(sink, RecordKind.closed, CLOSED_BYTES);
  const { view } = sink;
  view.setUint8(at + 1, CLOSE_REASONS.indexOf(report.reason));
  view.setUint8(at + 2, report.connected ? 1 : 0);
  view.setUint8(at + 3, report.attempts);
  view.setFloat64(at + 8, seq, true);
  view.setFloat64(at + 16, report.bytesToBackend, true);
  view.setFloat64(at + 24, report.bytesToClient, true);
  view.setFloat64(at + 32, report.pickMs, true);
  view.setFloat64(at + 40, report.connectMs, true);
  view.setFloat64(at + 48, report.totalMs, true);
}

export function readClosed(view: DataView, at: number, into: ClosedRecord): boolean {
  const reason = CLOSE_REASONS[view.getUint8(at + 1)];
  if (reason === undefined) return false;
  into.reason = reason;
  into.connected = view.getUint8(at + 2) === 1;
  into.attempts = view.getUint8(at + 3);
  into.seq = view.getFloat64(at + 8, true);
  into.bytesToBackend = view.getFloat64(at + 16, true);
  into.bytesToClient = view.getFloat64(at + 24, true);
  into.pickMs = view.getFloat64(at + 32, true);
  into.connectMs = view.getFloat64(at + 40, true);
  into.totalMs = view.getFloat64(at + 48, true);
  const bytes = isQuantity(into.bytesToBackend) && isQuantity(into.bytesToClient);
  const times = isQuantity(into.pickMs) && isQuantity(into.connectMs) && isQuantity(into.totalMs);
  return isSeq(into.seq) && bytes && times;
}

/** Primary -> worker: a backend for a client. */
export interface AssignedRecord {
  seq: number;
  /** By the number under which its address was told before. */
  backend: number;
  why: PickReason;
  /** Others may come to wait for this slot. */
  contended: boolean;
}

// kind 1, why 1, contended 1, unused 1, backend 4, seq 8
export function writeAssigned(
  sink: RecordSink,
  seq: number,
  backend: number,
  why: PickReason,
  contended: boolean,
): void {
  const at = begin(sink, RecordKind.assigned, ASSIGNED_BYTES);
  const { view } = sink;
  view.setUint8(at + 1, PICK_REASONS.indexOf(why));
  view.setUint8(at + 2, contended ? 1 : 0);
  view.setUint32(at + 4, backend, true);
  view.setFloat64(at + 8, seq, true);
}

export function readAssigned(view: DataView, at: number, into: AssignedRecord): boolean {
  const why = PICK_REASONS[view.getUint8(at + 1)];
  if (why === undefined) return false;
  into.why = why;
  into.contended = view.getUint8(at + 2) === 1;
  into.backend = view.getUint32(at + 4, true);
  into.seq = view.getFloat64(at + 8, true);
  return isSeq(into.seq);
}

function isSeq(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isQuantity(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

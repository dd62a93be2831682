import type net from 'node:net';
import type { ClosedReport } from '../../src/application/ports/backend-picker.ts';
import type { PickReason } from '../../src/domain/entities.ts';
import { parseAddress } from '../../src/ip-address.ts';
import { FrameReader, FrameWriter } from '../../src/ipc/codec.ts';
import {
  RecordKind,
  type RecordSink,
  readAssigned,
  readClosed,
  readConnected,
  readPick,
  writeAssigned,
  writeClosed,
  writeConnected,
  writePick,
} from '../../src/ipc/records.ts';
import { CLOSED } from '../application/rig.ts';
import { until } from '../fixtures/until.ts';

/**
 * What is said on a channel: a message as it is, which begins with a number, or a record, which begins with its name here:
 * `['pick', seq, listener, client]`, `['connected', seq, rttMs]`, `['closed', seq, report]`,
 * `['assigned', seq, backend, why, contended]`. `['bytes', bytes]` stands for a record of whatever bytes.
 */
export type Said = readonly unknown[];

/** As it travels: what is said one after the other is in one frame where it can be. */
export function encode(said: readonly Said[]): Buffer {
  const writer = new FrameWriter();
  for (const one of said) {
    if (typeof one[0] === 'string' && one[0] in WRITE) WRITE[one[0]]!(writer, ...(one.slice(1) as never[]));
    else writer.message(one);
  }
  return Buffer.from(writer.take());
}

const WRITE: Readonly<Record<string, (sink: RecordSink, ...fields: never[]) => void>> = {
  pick: (sink, seq: number, listener: number, client: string) => writePick(sink, seq, listener, parseAddress(client)!),
  connected: (sink, seq: number, rttMs: number) => writeConnected(sink, seq, rttMs),
  closed: (sink, seq: number, report: Partial<ClosedReport> = {}) => writeClosed(sink, seq, { ...CLOSED, ...report }),
  assigned: (sink, seq: number, backend: number, why: PickReason, contended: boolean) =>
    writeAssigned(sink, seq, backend, why, contended),
  bytes: (sink, bytes: Uint8Array) => {
    const at = sink.record(bytes.length);
    new Uint8Array(sink.view.buffer).set(bytes, at);
  },
};

/** Of a frame's header. */
const HEADER_BYTES = 4;

/** The record with other bytes in it, or with fewer. */
export function spoilt(record: Said, change: (view: DataView) => void, length?: number): Said {
  const bytes = Uint8Array.from(encode([record]).subarray(HEADER_BYTES));
  change(new DataView(bytes.buffer));
  return ['bytes', bytes.subarray(0, length)];
}

/** Reads what is said on a channel. A record with a value out of its range is `['malformed', kind]`. */
export class Hearing {
  readonly #reader = new FrameReader();

  hear(chunk: Buffer): Said[] {
    const reader = this.#reader;
    reader.push(chunk);
    const heard: Said[] = [];
    for (;;) {
      const next = reader.next();
      if (next === null) return heard;
      heard.push(next === 'message' ? (reader.message as Said) : readRecord(reader.view, reader.recordAt));
    }
  }

  get malformed(): number {
    return this.#reader.malformed;
  }
}

export function readRecord(view: DataView, at: number): Said {
  const kind = view.getUint8(at);
  switch (kind) {
    case RecordKind.pick: {
      const pick = readPick(view, at);
      if (pick !== null) return ['pick', pick.seq, pick.listener, pick.address.text];
      break;
    }
    case RecordKind.connected: {
      const record = { seq: 0, rttMs: 0 };
      if (readConnected(view, at, record)) return ['connected', record.seq, record.rttMs];
      break;
    }
    case RecordKind.closed: {
      const record = { seq: 0, ...CLOSED };
      if (readClosed(view, at, record)) {
        const { seq, ...report } = record;
        return ['closed', seq, report];
      }
      break;
    }
    case RecordKind.assigned: {
      const record = { seq: 0, backend: 0, why: 'picked' as PickReason, contended: false };
      if (readAssigned(view, at, record)) return ['assigned', record.seq, record.backend, record.why, record.contended];
      break;
    }
  }
  return ['malformed', kind];
}

/** What comes on a bare socket, and `next`, which waits for the first of a kind, of one `seq` if that is given. */
export function inbox(socket: net.Socket) {
  const hearing = new Hearing();
  const heard: Said[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(...hearing.hear(chunk)));
  const next = (kind: number | string, seq?: number) =>
    until(
      `${kind} ${seq ?? ''}`,
      () => heard.find((one) => one[0] === kind && (seq === undefined || one[1] === seq)),
      () => JSON.stringify(heard),
    );
  return { heard, next };
}

import fc from 'fast-check';
import t from 'tap';
import { ClientAddress } from '../../src/domain/client-address.ts';
import { CLOSE_REASONS } from '../../src/domain/close-reasons.ts';
import { PICK_REASONS } from '../../src/domain/entities.ts';
import { FrameReader, FrameWriter } from '../../src/ipc/codec.ts';
import {
  RecordKind,
  type RecordSink,
  readAssigned,
  readClosed,
  readConnected,
  readPick,
  recordBytes,
  writeAssigned,
  writeClosed,
  writeConnected,
  writePick,
} from '../../src/ipc/records.ts';
import { readRecord, type Said, spoilt } from '../adapters/wire.ts';
import { CLOSED } from '../application/rig.ts';

/** Writes a record behind another one, so that nothing is taken for granted of where it begins, and reads what comes. */
function travel<T>(write: (sink: RecordSink) => void, read: (view: DataView, at: number) => T): T {
  const writer = new FrameWriter();
  writeAssigned(writer, 1, 2, 'picked', false);
  write(writer);
  const reader = new FrameReader();
  // An offset that no number is aligned to.
  reader.push(Buffer.concat([Buffer.alloc(3), writer.take()]).subarray(3));
  reader.next();
  if (reader.next() !== 'record') throw new Error('there is no record');
  const value = read(reader.view, reader.recordAt);
  if (reader.next() !== null || reader.malformed > 0) throw new Error('its length is another one');
  return value;
}

const seq = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER));
const quantity = fc.oneof(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.maxSafeNat());
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const address = fc.oneof(
  word.map((w0) => new ClientAddress(4, w0)),
  fc.tuple(word, word, word, word).map((words) => new ClientAddress(6, ...words)),
);
const byte = fc.integer({ min: 0, max: 255 });

t.test('a pick is read as it was written', async (t) => {
  fc.assert(
    fc.property(seq, fc.integer({ min: 0, max: 65_535 }), address, (seq, listener, address) => {
      const pick = travel((sink) => writePick(sink, seq, listener, address), readPick);
      t.strictSame(pick, { seq, listener, address, tried: [] });
    }),
  );
});

t.test('what was connected is read as it was written', async (t) => {
  fc.assert(
    fc.property(seq, quantity, (seq, rttMs) => {
      const into = { seq: -1, rttMs: -1 };
      t.ok(
        travel(
          (sink) => writeConnected(sink, seq, rttMs),
          (view, at) => readConnected(view, at, into),
        ),
      );
      t.same(into, { seq, rttMs });
    }),
  );
});

t.test('what was closed is read as it was written', async (t) => {
  const closed = fc.record({
    reason: fc.constantFrom(...CLOSE_REASONS),
    connected: fc.boolean(),
    attempts: byte,
    bytesToBackend: quantity,
    bytesToClient: quantity,
    pickMs: quantity,
    connectMs: quantity,
    totalMs: quantity,
  });
  fc.assert(
    fc.property(seq, closed, (seq, report) => {
      const into = { seq: -1, ...CLOSED };
      t.ok(
        travel(
          (sink) => writeClosed(sink, seq, report),
          (view, at) => readClosed(view, at, into),
        ),
      );
      t.same(into, { seq, ...report });
    }),
  );
});

t.test('an assignment is read as it was written', async (t) => {
  fc.assert(
    fc.property(seq, word, fc.constantFrom(...PICK_REASONS), fc.boolean(), (seq, backend, why, contended) => {
      const into = { seq: -1, backend: -1, why: 'bound' as (typeof PICK_REASONS)[number], contended: false };
      t.ok(
        travel(
          (sink) => writeAssigned(sink, seq, backend, why, contended),
          (view, at) => readAssigned(view, at, into),
        ),
      );
      t.same(into, { seq, backend, why, contended });
    }),
  );
});

const RECORDS: Readonly<Record<string, Said>> = {
  pick: ['pick', 7, 1, '10.0.0.1'],
  connected: ['connected', 7, 1.5],
  closed: ['closed', 7],
  assigned: ['assigned', 7, 1, 'picked', true],
};

/** What the record says with other bytes in it. */
function readSpoilt(name: string, change: (view: DataView) => void): Said {
  const [, bytes] = spoilt(RECORDS[name]!, change) as [string, Uint8Array];
  return readRecord(new DataView(bytes.buffer), 0);
}

t.test('a number that is none, or not exact, is refused in every field that holds one', async (t) => {
  const numbers = { pick: [8], connected: [8, 16], closed: [8, 16, 24, 32, 40, 48], assigned: [8] };
  const SEQ_AT = 8;
  for (const [name, places] of Object.entries(numbers)) {
    for (const at of places) {
      const never = [NaN, Infinity, -Infinity, -1, -0.5, -Number.MIN_VALUE];
      for (const number of at === SEQ_AT ? [...never, 0.5, 2 ** 53, 1e300] : never) {
        const read = readSpoilt(name, (view) => view.setFloat64(at, number, true));
        t.equal(read[0], 'malformed', `${name}: ${number} at ${at}`);
      }
      t.equal(readSpoilt(name, (view) => view.setFloat64(at, 3, true))[0], name, 'and nothing else is wrong with it');
    }
  }
});

t.test('a family, a close reason or a pick reason that does not exist is refused', async (t) => {
  for (let byte = 0; byte < 256; byte++) {
    const spoil = (name: string) => readSpoilt(name, (view) => view.setUint8(1, byte))[0];
    t.equal(spoil('pick'), byte === 4 || byte === 6 ? 'pick' : 'malformed', `family ${byte}`);
    t.equal(spoil('closed'), byte < CLOSE_REASONS.length ? 'closed' : 'malformed', `close reason ${byte}`);
    t.equal(spoil('assigned'), byte < PICK_REASONS.length ? 'assigned' : 'malformed', `pick reason ${byte}`);
  }
});

t.test('every kind has a length, and nothing else has', async (t) => {
  const kinds: readonly number[] = Object.values(RecordKind);
  for (let kind = 0; kind < 256; kind++) t.equal(recordBytes(kind) > 0, kinds.includes(kind), `${kind}`);
  t.ok(
    kinds.every((kind) => recordBytes(kind) % 8 === 0),
    'so that each number of a frame is where a number may be',
  );
});

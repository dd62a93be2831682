import fc from 'fast-check';
import { Packr } from 'msgpackr';
import t from 'tap';
import {
  encodeFrame,
  encodeFrames,
  FrameReader,
  FrameWriter,
  MAX_FRAME_BYTES,
  MAX_FRAME_MESSAGES,
} from '../../src/ipc/codec.ts';
import { encode, Hearing, readRecord, type Said } from '../adapters/wire.ts';

const decode = (...chunks: readonly Buffer[]): Said[] => {
  const hearing = new Hearing();
  return chunks.flatMap((chunk) => hearing.hear(chunk));
};

const value = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
  fc.boolean(),
  fc.constant(null),
);
const message = fc.tuple(fc.nat(), value, value).map(([kind, ...fields]): Said => [kind, ...fields]);
const seq = fc.nat();
const record = fc.oneof(
  fc.record({ seq, listener: fc.nat(9) }).map(({ seq, listener }): Said => ['pick', seq, listener, '10.0.0.1']),
  fc.record({ seq, rttMs: fc.nat(9) }).map(({ seq, rttMs }): Said => ['connected', seq, rttMs]),
  seq.map((seq): Said => ['assigned', seq, 3, 'bound', true]),
);
const said = fc.array(fc.oneof(message, record, record), { maxLength: 40 });

t.test('messages and records are read in their order, wherever the stream is cut', async (t) => {
  fc.assert(
    fc.property(fc.array(said, { maxLength: 5 }), fc.array(fc.nat(4000), { maxLength: 40 }), (batches, cuts) => {
      const stream = Buffer.concat(batches.map(encode));
      const hearing = new Hearing();
      const heard: unknown[] = [];
      const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
      for (let i = 1; i < places.length; i++) {
        const chunk = Buffer.from(stream.subarray(places[i - 1], places[i]));
        heard.push(...structuredClone(hearing.hear(chunk)));
        // As a read buffer may be used again, once it was read to its end.
        if (i === places.length - 1) chunk.fill(0xff);
      }
      return hearing.malformed === 0 && JSON.stringify(heard) === JSON.stringify(batches.flat());
    }),
    { numRuns: 300 },
  );
  t.pass('equal');
});

t.test('a stream that comes byte by byte is read', async (t) => {
  const said: Said[] = [
    [1, 'é', 0.25],
    ['assigned', 7, 0, 'picked', false],
    ['pick', 8, 2, '10.0.0.1'],
    [2],
    [3, ['a']],
  ];
  t.same(decode(...[...encode(said)].map((byte) => Buffer.of(byte))), said);
});

t.test('what was taken is sent once, and what was cleared never', async (t) => {
  const writer = new FrameWriter();
  t.ok(writer.isEmpty);
  writer.message([1]);
  t.notOk(writer.isEmpty);
  t.same(decode(Buffer.from(writer.take())), [[1]]);
  t.ok(writer.isEmpty);
  t.equal(writer.take().length, 0);
  for (const kind of ['message', 'record'] as const) {
    if (kind === 'record') writer.view.setUint8(writer.record(16), 4);
    else writer.message([2]);
    t.notOk(writer.isEmpty);
    writer.clear();
    t.ok(writer.isEmpty);
    writer.message([3]);
    t.same(decode(Buffer.from(writer.take())), [[3]], `a ${kind} that was cleared`);
  }
});

t.test('what is left of a chunk that changes is kept', async (t) => {
  const said: Said[] = [
    [1, 'first'],
    ['connected', 7, 0.5],
    ['connected', 8, 0.5],
    [2, 'later'],
  ];
  const stream = encode(said);
  for (let cut = 1; cut < stream.length; cut++) {
    const reader = new FrameReader();
    const heard: Said[] = [];
    const shared = Buffer.alloc(stream.length);
    for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
      piece.copy(shared);
      reader.push(shared.subarray(0, piece.length));
      for (let next = reader.next(); next !== null; next = reader.next())
        heard.push(next === 'message' ? (reader.message as Said) : readRecord(reader.view, reader.recordAt));
      reader.keep();
      shared.fill(0xff);
    }
    t.same(heard, said, `cut at ${cut}`);
  }
});

t.test('many or large messages travel in as many frames as they need, in order', async (t) => {
  const small = Array.from({ length: 3 * MAX_FRAME_MESSAGES + 1 }, (_, i) => [2, i]);
  t.equal(encodeFrames(small.slice(0, MAX_FRAME_MESSAGES)).length, 1);
  t.ok(encodeFrames(small).length >= 4);
  t.same(decode(...encodeFrames(small)), small);
  t.same(decode(encode(small)), small);

  // Picks of clients for whom as many backends failed as may be, each with a name as long as may be.
  const tried = Array.from({ length: 64 }, () => '\u4e16'.repeat(255));
  const large = Array.from({ length: 200 }, (_, i) => [3, i, 0, '10.0.0.1', tried]);
  const frames = encodeFrames(large);
  t.ok(frames.length > 1);
  t.ok(
    frames.every((frame) => frame.length - 4 <= MAX_FRAME_BYTES),
    'no frame is one that the peer refuses',
  );
  t.same(decode(...frames), large);
  const between: Said = ['connected', 1, 1];
  t.same(decode(encode([between, ...large, between])), [between, ...large, between]);
});

t.test('records that are more than a frame holds travel in several, in order', async (t) => {
  const records = Array.from({ length: 100_000 }, (_, seq): Said => ['assigned', seq, 1, 'picked', false]);
  const stream = encode(records);
  const lengths: number[] = [];
  for (let at = 0; at < stream.length; at += 4 + lengths.at(-1)!) lengths.push(stream.readUInt32BE(at) - 2 ** 31);
  t.ok(lengths.length > 1 && Math.max(...lengths) <= MAX_FRAME_BYTES, `${lengths}`);
  t.same(decode(stream), records);
});

t.test('records and messages take turns without a frame more than there are turns', async (t) => {
  const frames = (said: readonly Said[]) => {
    let count = 0;
    const stream = encode(said);
    for (let at = 0; at < stream.length; at += 4 + (stream.readUInt32BE(at) & 0x7fff_ffff)) count++;
    return count;
  };
  t.equal(frames([[1], [2], [3]]), 1);
  t.equal(frames(Array(9).fill(['connected', 1, 1])), 1);
  t.equal(frames([[1], ['connected', 1, 1], ['pick', 2, 0, '10.0.0.1'], [2], [3]]), 3);
});

const length = (bytes: number, isRecords = false) => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes + (isRecords ? 2 ** 31 : 0));
  return header;
};
const frame = (payload: Buffer) => Buffer.concat([length(payload.length), payload]);
const records = (payload: Buffer) => Buffer.concat([length(payload.length, true), payload]);
const pack = (value: unknown) => frame(Buffer.from(new Packr({ useRecords: false }).pack(value)));

t.test('what is no frame ends the stream, at once', async (t) => {
  const broken: [string, Buffer][] = [
    ['a frame over the limit', length(MAX_FRAME_BYTES + 1)],
    ['a frame of records over the limit', length(MAX_FRAME_BYTES + 1, true)],
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['all ones', Buffer.alloc(4, 0xff)],
    ['an empty payload', length(0)],
    ['a number', pack(7)],
    ['a text', pack('hello')],
    ['a map', pack({ a: 1 })],
    ['null', pack(null)],
    ['an array that is cut short', frame(Buffer.of(0x93, 1, 2))],
    ['something behind the array', frame(Buffer.of(0x91, 1, 2))],
    ['an array that claims four billion items', frame(Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff))],
    ['an unknown type', frame(Buffer.of(0xc1))],
    ['an array nested a million deep', frame(Buffer.alloc(1_000_000, 0x91))],
  ];
  for (const [what, bytes] of broken) {
    t.throws(() => decode(bytes), { code: 'EDGE_ERR_CHANNEL' }, what);
    t.same(decode(encodeFrame([[1, 2]])), [[1, 2]], 'and does not spoil the next stream');
  }
});

t.test('what stands before garbage is read', async (t) => {
  const reader = new FrameReader();
  reader.push(Buffer.concat([encode([[1], ['connected', 2, 1]]), Buffer.alloc(4, 0xff)]));
  t.equal(reader.next(), 'message');
  t.equal(reader.next(), 'record');
  t.throws(() => reader.next(), { code: 'EDGE_ERR_CHANNEL' });
});

t.test(
  'a record of no known kind, or cut short, is dropped with the rest of its frame, and counts as one',
  async (t) => {
    const good = encode([['connected', 2, 1]]).subarray(4);
    for (const [what, bad] of [
      ['kind 0', Buffer.concat([Buffer.alloc(64), good])],
      ['a kind beyond the last', Buffer.concat([Buffer.alloc(64, 5), good])],
      ['cut short', good.subarray(0, good.length - 1)],
      ['of one byte', good.subarray(0, 1)],
    ] as const) {
      const hearing = new Hearing();
      const heard = hearing.hear(Buffer.concat([records(Buffer.concat([good, bad])), encode([[1]])]));
      t.same(heard, [['connected', 2, 1], [1]], what);
      t.equal(hearing.malformed, 1, what);
    }
    t.same(decode(records(Buffer.alloc(0)), encode([[1]])), [[1]], 'an empty frame is nothing');
  },
);

t.test('random bytes give messages, records or a channel error, nothing else, and an end', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.boolean(), (payload, isRecords) => {
      try {
        return Array.isArray(decode((isRecords ? records : frame)(Buffer.from(payload))));
      } catch (error) {
        return (error as { code?: string }).code === 'EDGE_ERR_CHANNEL';
      }
    }),
    { numRuns: 5000 },
  );
  t.pass('nothing else');
});

t.test('a frame of exactly the limit is taken', async (t) => {
  const text = 'x'.repeat(MAX_FRAME_BYTES - 6);
  const bytes = encodeFrame([text]);
  t.equal(bytes.length - 4, MAX_FRAME_BYTES);
  t.same(decode(bytes), [text]);
});

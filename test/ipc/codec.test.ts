import fc from 'fast-check';
import { Packr } from 'msgpackr';
import t from 'tap';
import { encodeFrame, encodeFrames, FrameDecoder, MAX_FRAME_BYTES, MAX_FRAME_MESSAGES } from '../../src/ipc/codec.ts';

const value = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
  fc.boolean(),
  fc.constant(null),
);
const message = fc.array(value, { minLength: 1, maxLength: 9 });

t.test('what is encoded is decoded, wherever the stream is cut into chunks', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(message, { maxLength: 5 }), { maxLength: 5 }),
      fc.array(fc.nat(2000), { maxLength: 40 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encodeFrame));
        const decoder = new FrameDecoder();
        const decoded: unknown[] = [];
        const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
        for (let i = 1; i < places.length; i++) {
          // A copy of its own, wiped afterwards, as a reused read buffer is: nothing that was given out may change.
          const chunk = Buffer.from(stream.subarray(places[i - 1], places[i]));
          for (const message of decoder.decode(chunk)) decoded.push(structuredClone(message));
        }
        return JSON.stringify(decoded) === JSON.stringify(frames.flat());
      },
    ),
    { numRuns: 300 },
  );
  t.pass('equal');
});

t.test('a stream that comes byte by byte is decoded', async (t) => {
  const messages = [[1, 'é', 0.25], [2], [3, ['a', 'b']]];
  const decoder = new FrameDecoder();
  const decoded = [...encodeFrame(messages)].flatMap((byte) => decoder.decode(Buffer.of(byte)));
  t.same(decoded, messages);
});

t.test('many or large messages travel in as many frames as they need, in order', async (t) => {
  const decodeAll = (frames: Buffer[]) => new FrameDecoder().decode(Buffer.concat(frames));
  const small = Array.from({ length: 3 * MAX_FRAME_MESSAGES + 1 }, (_, i) => [2, i]);
  t.equal(encodeFrames(small.slice(0, MAX_FRAME_MESSAGES)).length, 1);
  t.ok(encodeFrames(small).length >= 4);
  t.same(decodeAll(encodeFrames(small)), small);

  // Picks of clients for whom as many backends failed as may be, each with a name as long as may be.
  const tried = Array.from({ length: 64 }, () => '\u4e16'.repeat(255));
  const large = Array.from({ length: 200 }, (_, i) => [3, i, 0, '10.0.0.1', tried]);
  const frames = encodeFrames(large);
  t.ok(frames.length > 1);
  t.ok(
    frames.every((frame) => frame.length - 4 <= MAX_FRAME_BYTES),
    'no frame is one that the peer refuses',
  );
  t.same(decodeAll(frames), large);
});

const length = (bytes: number) => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes);
  return header;
};
const frame = (payload: Buffer) => Buffer.concat([length(payload.length), payload]);
const pack = (value: unknown) => frame(Buffer.from(new Packr({ useRecords: false }).pack(value)));

t.test('what is no frame ends the stream, at once', async (t) => {
  const broken: [string, Buffer][] = [
    ['a frame over the limit', length(MAX_FRAME_BYTES + 1)],
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
    t.throws(() => new FrameDecoder().decode(bytes), { code: 'EDGE_ERR_CHANNEL' }, what);
    t.same(new FrameDecoder().decode(encodeFrame([[1, 2]])), [[1, 2]], 'and does not spoil the next stream');
  }
});

t.test('random bytes give messages or a channel error, nothing else', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (payload) => {
      try {
        return Array.isArray(new FrameDecoder().decode(frame(Buffer.from(payload))));
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
  t.same(new FrameDecoder().decode(bytes), [text]);
});

import { once } from 'node:events';
import t, { type Test } from 'tap';
import { DuplexLink } from '../../src/ipc/byte-link.ts';
import { Channel } from '../../src/ipc/channel.ts';
import { encodeFrame } from '../../src/ipc/codec.ts';
import { writeAssigned } from '../../src/ipc/records.ts';
import { encode, inbox, readRecord, type Said } from '../adapters/wire.ts';
import { countTurns } from '../fixtures/count-turns.ts';
import { socketPair } from '../fixtures/socket-pair.ts';
import { until } from '../fixtures/until.ts';

type Message = [number, ...unknown[]];

const isMessage = (value: unknown): value is Message => Array.isArray(value) && typeof value[0] === 'number';

/** A channel, and the bare socket at its other end. */
async function open(t: Test) {
  const [mine, theirs] = await socketPair(t);
  const batches: Said[][] = [];
  let malformed = 0;
  let inTurn = false;
  let heard = () => {};
  let closed: (error: Error | undefined) => void = () => {};
  const over = new Promise<Error | undefined>((resolve) => {
    closed = resolve;
  });
  const channel = new Channel<Message, Message>(new DuplexLink(mine), isMessage, {
    onTurn: () => {
      if (inTurn) throw new Error('a turn begins within one');
      inTurn = true;
      batches.push([]);
    },
    onMessage: (message) => batches.at(-1)!.push(message),
    onRecord: (view, at) => batches.at(-1)!.push(readRecord(view, at)),
    onTurnEnd: (count) => {
      inTurn = false;
      malformed += count;
      heard();
    },
    onClose: (error) => {
      if (inTurn) throw new Error('it is over within a turn');
      closed(error);
    },
  });
  /** Resolves when `count` messages have come. */
  const received = (count: number) =>
    new Promise<Said[]>((resolve) => {
      heard = () => batches.flat().length >= count && resolve(batches.flat());
      heard();
    });
  return { channel, mine, theirs, batches, received, over, malformed: () => malformed };
}

t.test('what is queued is sent by a flush, in order', async (t) => {
  const a = await open(t);
  const chunks: Buffer[] = [];
  a.theirs.on('data', (chunk: Buffer) => chunks.push(chunk));
  a.channel.push([1]);
  a.channel.push([2, 'x']);
  t.equal(a.mine.bytesWritten, 0, 'not before');
  a.channel.flush();
  a.channel.flush();
  a.channel.send([3]);
  const sent = new Promise<void>((resolve) => a.channel.end(resolve));
  await Promise.all([sent, once(a.theirs, 'end')]);
  t.same(Buffer.concat(chunks), Buffer.concat([encodeFrame([[1], [2, 'x']]), encodeFrame([[3]])]));
});

t.test('records and messages are sent in the order in which they were queued', async (t) => {
  const a = await open(t);
  const b = inbox(a.theirs);
  a.channel.push([1]);
  writeAssigned(a.channel.records, 5, 0, 'bound', true);
  writeAssigned(a.channel.records, 6, 1, 'picked', false);
  a.channel.push([2]);
  t.equal(a.mine.bytesWritten, 0, 'not before the flush');
  a.channel.flush();
  await b.next(2);
  t.same(b.heard, [[1], ['assigned', 5, 0, 'bound', true], ['assigned', 6, 1, 'picked', false], [2]]);
});

t.test('malformed messages and records are counted, the others of the same read are heard', async (t) => {
  const a = await open(t);
  const read = [
    encodeFrame([[1], 'x', [2], {}]),
    encode([['connected', 7, 1]]),
    encode([['bytes', Uint8Array.of(99, 1, 2)]]),
    encodeFrame([null, [3]]),
  ];
  a.theirs.write(Buffer.concat(read));
  t.same(await a.received(4), [[1], [2], ['connected', 7, 1], [3]]);
  t.equal(a.malformed(), 4);
});

t.test('what stands before garbage is heard, and nothing behind it', async (t) => {
  const a = await open(t);
  a.theirs.write(Buffer.concat([encode([[1], ['connected', 7, 1]]), Buffer.alloc(8, 0xff), encode([[2]])]));
  t.match(await a.over, { code: 'EDGE_ERR_CHANNEL' });
  t.same(a.batches.flat(), [[1], ['connected', 7, 1]]);
});

t.test('garbage closes the channel with an error', async (t) => {
  const a = await open(t);
  a.theirs.write('this is no frame');
  t.match(await a.over, { code: 'EDGE_ERR_CHANNEL' });
});

for (const [how, end] of [
  ['ends', 'end'],
  ['is destroyed', 'destroy'],
  ['is reset', 'resetAndDestroy'],
] as const) {
  t.test(`the channel is closed when the peer ${how}`, async (t) => {
    const a = await open(t);
    a.channel.send([1]);
    await once(a.theirs.resume(), 'data');
    // A unix socket has no reset; to a user it looks the same.
    if (end === 'resetAndDestroy') a.theirs.destroy();
    else a.theirs[end]();
    t.equal(await a.over, undefined, 'which is no error');
    t.doesNotThrow(() => a.channel.send([2]), 'what is sent afterwards is lost');
  });
}

t.test('what the peer had sent before its end is heard', async (t) => {
  const a = await open(t);
  a.theirs.end(encodeFrame([[1], [2]]));
  t.same(await a.received(2), [[1], [2]]);
  t.equal(await a.over, undefined);
});

t.test('thousands of messages and records are heard in order, a bounded number in a turn', async (t) => {
  const a = await open(t);
  const one = (n: number): Said => (n % 1000 < 300 ? ['connected', n, 1] : [n, 'some more bytes, for several reads']);
  const sent = Array.from({ length: 10_000 }, (_, n) => one(n));
  const turnsSince = countTurns();
  for (let at = 0; at < sent.length; at += 500) a.theirs.write(encode(sent.slice(at, at + 500)));
  t.same(await a.received(sent.length), sent);
  const turns = turnsSince();
  const most = Math.max(...a.batches.map(({ length }) => length));
  t.ok(most <= 256, `${most} at once`);
  t.ok(turns >= a.batches.length / 2, `${a.batches.length} times in ${turns} turns`);
  // And the socket is read on.
  a.theirs.write(encodeFrame([[-1]]));
  t.same((await a.received(sent.length + 1)).at(-1), [-1]);
});

t.test('the last message is heard, also when it is the only one that is left for a further turn', async (t) => {
  const messages = (length: number) => Array.from({ length }, (_, n): Message => [n]);
  const a = await open(t);
  a.theirs.write(encodeFrame(messages(257)));
  await until('all of them', () => a.batches.flat().length === 257);
  // Nor is it lost when its turn never comes; how many turns there are before a close is the loop's affair.
  for (const length of [257, 513, 769]) {
    const b = await open(t);
    const first = b.received(1);
    b.theirs.write(encodeFrame(messages(length)));
    await first;
    b.channel.destroy();
    await b.over;
    t.same(b.batches.flat(), messages(length));
  }
});

for (const [how, unread] of [
  ['by its end', false],
  ['by a reset', true],
] as const) {
  t.test(`what a peer said before it died is heard before its death, told ${how}`, async (t) => {
    const a = await open(t);
    // What a process leaves unread resets its peer.
    a.theirs.pause();
    if (a.mine.connecting) await once(a.mine, 'connect');
    if (unread) a.channel.send([0]);
    const sent = Array.from({ length: 3000 }, (_, n): Said => (n % 2 ? ['connected', n, 1] : [n, 'x'.repeat(40)]));
    for (let at = 0; at < sent.length; at += 500) a.theirs.write(encode(sent.slice(at, at + 500)));
    t.equal(a.theirs.writableLength, 0, 'the kernel has all of it');
    a.theirs.destroy();
    t.equal(await a.over, undefined);
    t.same(a.batches.flat(), sent);
  });
}

t.test('a peer that does not read is given up, before memory is', async (t) => {
  const a = await open(t);
  a.theirs.pause();
  const large: Message = [1, 'x'.repeat(500_000)];
  let sent = 0;
  while (!a.mine.destroyed && sent < 200) {
    a.channel.send(large);
    sent++;
  }
  t.match(await a.over, { code: 'EDGE_ERR_CHANNEL', message: /unread/ });
  t.ok(sent > 20 && sent < 60, `after ${sent} messages of half a megabyte`);
});

t.test('an end is told also when the peer is gone already', async (t) => {
  const a = await open(t);
  a.theirs.destroy();
  await a.over;
  await new Promise<void>((resolve) => a.channel.end(resolve));
  t.pass('told');
});

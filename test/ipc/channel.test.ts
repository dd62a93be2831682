import { once } from 'node:events';
import t, { type Test } from 'tap';
import { Channel } from '../../src/ipc/channel.ts';
import { encodeFrame } from '../../src/ipc/codec.ts';
import { countTurns } from '../fixtures/count-turns.ts';
import { socketPair } from '../fixtures/socket-pair.ts';
import { until } from '../fixtures/until.ts';

type Message = [number, ...unknown[]];

const isMessage = (value: unknown): value is Message => Array.isArray(value) && typeof value[0] === 'number';

/** A channel, and the bare socket at its other end. */
async function open(t: Test) {
  const [mine, theirs] = await socketPair(t);
  const batches: Message[][] = [];
  let malformed = 0;
  let heard = () => {};
  let closed: (error: Error | undefined) => void = () => {};
  const over = new Promise<Error | undefined>((resolve) => {
    closed = resolve;
  });
  const channel = new Channel<Message, Message>(mine, isMessage, {
    onMessages: (messages) => {
      batches.push(messages);
      heard();
    },
    onMalformed: (count) => {
      malformed += count;
    },
    onClose: (error) => closed(error),
  });
  /** Resolves when `count` messages have come. */
  const received = (count: number) =>
    new Promise<Message[]>((resolve) => {
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

t.test('malformed messages are counted, the others of the same read are heard', async (t) => {
  const a = await open(t);
  a.theirs.write(Buffer.concat([encodeFrame([[1], 'x', [2], {}]), encodeFrame([null, [3]])]));
  t.same(await a.received(3), [[1], [2], [3]]);
  t.equal(a.malformed(), 3);
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

t.test('thousands of messages are heard in order, a bounded number in a turn', async (t) => {
  const a = await open(t);
  const sent = Array.from({ length: 10_000 }, (_, n): Message => [n, 'some more bytes, for it to be several reads']);
  const turnsSince = countTurns();
  for (let at = 0; at < sent.length; at += 500) a.theirs.write(encodeFrame(sent.slice(at, at + 500)));
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
    const sent = Array.from({ length: 3000 }, (_, n): Message => [n, 'x'.repeat(40)]);
    for (let at = 0; at < sent.length; at += 500) a.theirs.write(encodeFrame(sent.slice(at, at + 500)));
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

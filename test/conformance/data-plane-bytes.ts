import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { Test } from 'tap';
import { backend, type MakeEngine, type Pair, type Peer, pair, Rig } from './data-plane-rig.ts';

/** Enough to fill what the kernel buffers on the way, with the largest socket buffers of usual settings. */
const FLOOD_BYTES = 128 * 1024 * 1024;

/** Turns of the loop without progress after which a writer stands still: everything is in this process. */
const STALLED_TURNS = 50;

/** What is relayed, byte for byte, and what is not taken from a writer whose reader does not read. */
export function bytesSuite(t: Test, make: MakeEngine): void {
  t.test('any bytes in any pieces arrive as they were sent, both ways at once', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    const pieces = fc.array(fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100_000 })), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(pieces, pieces, fc.nat({ max: 250 }), async (up, down, seed) => {
        const link = await pair(t, rig, port, to);
        const sentUp = send(link.client, up, seed);
        const sentDown = send(link.backend, down, seed + 1);
        const gotUp = link.backend.read().all();
        const gotDown = link.client.read().all();
        const same = (await sentUp).equals(await gotUp) && (await sentDown).equals(await gotDown);
        const closed = await rig.closed(link.conn);
        return (
          same &&
          closed.reason === 'finished' &&
          closed.bytesToBackend === sum(up) &&
          closed.bytesToClient === sum(down)
        );
      }),
      { numRuns: 30 },
    );
  });

  t.test('many small messages back and forth', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    const links = [await pair(t, rig, port, to), await pair(t, rig, port, to), await pair(t, rig, port, to)];
    await Promise.all(
      links.map(async ({ client, backend }, link) => {
        client.read();
        backend.read();
        let expected = '';
        for (let round = 0; round < 100; round++) {
          const message = `${link}:${round};`;
          expected += message;
          client.socket.write(message);
          t.equal((await backend.received(expected.length)).toString(), expected);
          backend.socket.write(message);
          t.equal((await client.received(expected.length)).toString(), expected);
        }
      }),
    );
  });

  t.test('a client that does not read stalls its backend, and loses nothing', async (t) => {
    const rig = await Rig.start(t, make);
    const link = await pair(t, rig, await rig.listen(), await backend(t));
    await floodAndDrain(t, link, link.backend, link.client);
    t.match(await rig.closed(link.conn), { reason: 'finished', bytesToClient: FLOOD_BYTES, bytesToBackend: 0 });
  });

  t.test('a backend that does not read stalls its client, and loses nothing', async (t) => {
    const rig = await Rig.start(t, make);
    const link = await pair(t, rig, await rig.listen(), await backend(t));
    await floodAndDrain(t, link, link.client, link.backend);
    t.match(await rig.closed(link.conn), { reason: 'finished', bytesToBackend: FLOOD_BYTES, bytesToClient: 0 });
  });

  t.test('what waits for a slow reader is not touched by what passes meanwhile', async (t) => {
    // Guards: an engine may read into one buffer for all, but not while the kernel has not taken what is in it.
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    // Pieces that one read takes, and pieces that need two of different sizes.
    const sizes = [20_000, 84_000, 150_000];
    const slow: { link: Pair; sent: Promise<Buffer> }[] = [];
    for (let i = 0; i < 12; i++) {
      const link = await pair(t, rig, port, to);
      slow.push({ link, sent: sendUntilStalled(link.client, sizes[i % sizes.length] ?? 0, i) });
    }
    await Promise.all(slow.map(({ sent }) => sent));

    for (let i = 0; i < 10; i++) {
      const passing = await pair(t, rig, port, to);
      const up = send(passing.client, [1000, 300_000], i);
      const down = send(passing.backend, [300_000, 1000], i);
      t.ok((await passing.backend.read().all()).equals(await up));
      t.ok((await passing.client.read().all()).equals(await down));
    }

    for (const { link, sent } of slow) t.ok((await link.backend.read().all()).equals(await sent));
  });

  t.test('a stalled direction does not hold the other one up', async (t) => {
    const rig = await Rig.start(t, make);
    const link = await pair(t, rig, await rig.listen(), await backend(t));
    link.client.socket.write(Buffer.alloc(FLOOD_BYTES));
    await stalled(link.client);
    const bytes = Buffer.alloc(3_000_000, 'the other way, ');
    link.backend.socket.end(bytes);
    t.ok((await link.client.read().all()).equals(bytes));
  });
}

/** Writes pieces of those sizes, sometimes in one turn and sometimes not, and perhaps ends; all that was written. */
export async function send(peer: Peer, sizes: readonly number[], seed: number, ends = true): Promise<Buffer> {
  const sent: Buffer[] = [];
  for (const [i, size] of sizes.entries()) {
    const piece = bytesOf(size, seed + i);
    sent.push(piece);
    peer.socket.write(piece);
    if ((seed + i) % 3 !== 0) await nextTurn();
  }
  if (ends) peer.socket.end();
  return Buffer.concat(sent);
}

/** Writes pieces of that size, one in a turn, until the kernel takes no more, and ends with `last`; all that was written. */
export async function sendUntilStalled(
  peer: Peer,
  size: number,
  seed: number,
  last = Buffer.alloc(0),
): Promise<Buffer> {
  const sent: Buffer[] = [];
  while (peer.socket.writableLength === 0) {
    const piece = bytesOf(size, seed + sent.length);
    sent.push(piece);
    peer.socket.write(piece);
    // The engine reads it, and its backend's kernel gets it.
    for (let turn = 0; turn < 3; turn++) await nextTurn();
  }
  await stalled(peer);
  sent.push(last);
  peer.socket.end(last);
  return Buffer.concat(sent);
}

export function bytesOf(size: number, seed: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) * 17 + seed) & 0xff;
  return bytes;
}

/** Resolves when the kernel takes nothing more from a writer that has more to write. */
export async function stalled(writer: Peer): Promise<void> {
  let before = -1;
  for (let still = 0; still < STALLED_TURNS; still++) {
    await nextTurn();
    const now = unsent(writer);
    if (now === before) continue;
    before = now;
    still = 0;
  }
}

/** Bytes that were written and are not with the kernel yet; a partial write shows only in Node's handle. */
function unsent({ socket }: Peer): number {
  const { _handle: handle } = socket as unknown as { _handle: { writeQueueSize: number } | null };
  return socket.writableLength + (handle?.writeQueueSize ?? 0);
}

/** Keeps what comes, and rests for some turns after every piece. */
export function readSlowly(peer: Peer): void {
  const { socket } = peer.read();
  socket.on('data', async () => {
    socket.pause();
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    socket.resume();
  });
}

async function floodAndDrain(t: Test, link: Pair, writer: Peer, reader: Peer): Promise<void> {
  const sent = createHash('sha256');
  const chunk = Buffer.alloc(1024 * 1024);
  let written = 0;
  const write = async () => {
    for (; written < FLOOD_BYTES; written += chunk.length) {
      chunk.fill(written >> 20);
      sent.update(chunk);
      if (!writer.socket.write(Buffer.from(chunk))) await once(writer.socket, 'drain');
    }
    writer.socket.end();
  };
  const done = write();
  await stalled(writer);
  t.ok(written < FLOOD_BYTES, `the writer stood still after ${written} bytes`);

  const got = createHash('sha256');
  reader.socket.on('data', (data: Buffer) => got.update(data));
  reader.socket.resume();
  await Promise.all([done, reader.ended]);
  t.equal(got.digest('hex'), sent.digest('hex'));
  reader.socket.end();
  link.client.read();
  link.backend.read();
}

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);

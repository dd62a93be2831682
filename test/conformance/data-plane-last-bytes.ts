import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import { bytesOf, readSlowly, sendUntilStalled, stalled } from './data-plane-bytes.ts';
import { backend, type MakeEngine, type Pair, pair, Rig } from './data-plane-rig.ts';

/** Around what engines read at once, and what they keep: 64 KiB. */
const SIZES = [1, 2, 3, 4].flatMap((times) => [-1, 0, 1].map((more) => times * 65_536 + more));

/** So many bytes make the kernel's windows as wide as the last bytes. */
const WARM_BYTES = 1024 * 1024;

/** Pieces of which the kernel takes several before a peer that does not read stalls its writer. */
const PIECE_BYTES = 100_000;

/** More than the kernel's buffers take on the way to a peer that does not read. */
const FLOOD = Buffer.alloc(64 * 1024 * 1024);

/** Less than an engine reads at once. */
const LAST_BYTES = 40_000;

/**
 * An end that an engine finds together with the bytes before it: it may tell both at once, and must not lose, hold back or
 * cut short what came before the end.
 */
export function lastBytesSuite(t: Test, make: MakeEngine): void {
  const sides = [
    ['client', 'backend'],
    ['backend', 'client'],
  ] as const;

  for (const [one, other] of sides) {
    for (const [when, before] of [
      ['through narrow windows', 1],
      ['through wide windows', WARM_BYTES],
    ] as const) {
      t.test(`the ${one}'s end comes with its last bytes, ${when}`, async (t) => {
        const rig = await Rig.start(t, make);
        const port = await rig.listen();
        const to = await backend(t);
        for (const size of [1, ...SIZES]) {
          const link = await pair(t, rig, port, to);
          link[other].read();
          const first = bytesOf(before, size);
          link[one].socket.write(first);
          await link[other].received(first.length);
          const last = bytesOf(size, before);
          await nextTurn();
          // From here libuv has both with the kernel before it polls, and the engine finds both.
          link[one].socket.end(last);
          await finish(t, rig, link, one, other, Buffer.concat([first, last]), `${size} bytes`);
        }
      });
    }

    t.test(`the ${one}'s end comes with its last bytes, and the ${other} is slow`, async (t) => {
      const rig = await Rig.start(t, make);
      const port = await rig.listen();
      const to = await backend(t);
      for (const size of [1, ...SIZES]) {
        const link = await pair(t, rig, port, to);
        const sent = await sendUntilStalled(link[one], PIECE_BYTES, size, bytesOf(size, size));
        readSlowly(link[other]);
        await finish(t, rig, link, one, other, sent, `${size} bytes`);
      }
    });

    t.test(`the ${one}'s end comes with its last bytes, and the kernel has room for a part of them`, async (t) => {
      const rig = await Rig.start(t, make);
      const port = await rig.listen();
      const to = await backend(t);
      const room = await roomFor(t, rig, await pair(t, rig, port, to), one);
      // A few bytes more or less fit, by how they come; one of these is short of them by a part of the last ones.
      for (let short = 0; short <= 6 * LAST_BYTES; short += LAST_BYTES / 2) {
        const link = await pair(t, rig, port, to);
        const first = bytesOf(room - short, short);
        link[one].socket.write(first);
        await stalled(link[one]);
        const last = bytesOf(LAST_BYTES, 1);
        await nextTurn();
        link[one].socket.end(last);
        await stalled(link[one]);
        readSlowly(link[other]);
        await finish(t, rig, link, one, other, Buffer.concat([first, last]), `${short} bytes short`);
      }
    });
  }
}

/** `one` has ended: everything is there, and the other direction is still open. */
async function finish(
  t: Test,
  rig: Rig,
  link: Pair,
  one: 'client' | 'backend',
  other: 'client' | 'backend',
  sent: Buffer,
  what: string,
): Promise<void> {
  const got = await link[other].all();
  t.ok(got.equals(sent), `${what}: ${got.length} of ${sent.length} came`);
  const reply = bytesOf(70_000, 7);
  link[other].socket.end(reply);
  t.ok((await link[one].read().all()).equals(reply), `${what}: and the reply`);
  const [bytesToBackend, bytesToClient] = one === 'client' ? [sent.length, reply.length] : [reply.length, sent.length];
  t.match(await rig.closed(link.conn), { reason: 'finished', bytesToBackend, bytesToClient }, what);
}

/** Bytes that the kernel takes from the engine for a peer that does not read. */
async function roomFor(t: Test, rig: Rig, link: Pair, writer: 'client' | 'backend'): Promise<number> {
  link[writer].socket.write(FLOOD);
  await stalled(link[writer]);
  rig.close(link.conn);
  const { bytesToBackend, bytesToClient } = await rig.closed(link.conn);
  const room = writer === 'client' ? bytesToBackend : bytesToClient;
  t.ok(room < FLOOD.length, `${room} bytes were taken`);
  return room;
}

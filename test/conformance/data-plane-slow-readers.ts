import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import type { DataPlaneOptions } from '../../src/application/ports/data-plane.ts';
import { tcpTable } from '../fixtures/tcp-table.ts';
import { until } from '../fixtures/until.ts';
import { stalled } from './data-plane-bytes.ts';
import { backend, client, type MakeEngine, type Pair, type Peer, pair, Rig } from './data-plane-rig.ts';

/** More than the kernel's buffers take on the way to a peer that does not read. */
const FLOOD = Buffer.alloc(12 * 1024 * 1024, 'flood');

/** Less than the kernel takes for a peer that does not read. */
const HELD_BYTES = 500_000;

/** Taken by the kernel at once, and more than a slow reader reads in its time. */
const HELD_BY_KERNEL = Buffer.alloc(2_400_000, 'held ');

/**
 * A reader takes a piece, of 64 KiB as a rule, this often in ms. Its kernel opens the window for some pieces at a time, about
 * once a second; the engine's asks for more when a third of its buffer, some 800 KiB, is free, which takes longer than the
 * timeout.
 */
const PIECE_MS = 280;
const PIECES = 16;
const TIMEOUT_MS = 2400;

/** A busy machine has to try again. */
const TEST_TIMEOUT_MS = 120_000;

/** Peers that read, slowly, and one that does not. */
export function slowReadersSuite(t: Test, make: MakeEngine, blind: string | false): void {
  t.jobs = 8;
  const sides = [
    ['client', 'backend'],
    ['backend', 'client'],
  ] as const;

  const connected = async (t: Test, options: Partial<DataPlaneOptions>): Promise<{ rig: Rig; link: Pair }> => {
    const rig = await Rig.start(t, make, options);
    return { rig, link: await pair(t, rig, await rig.listen(), await backend(t)) };
  };

  for (const [one, other] of sides) {
    t.test(
      `the ${one} reads slowly what waits for it`,
      { buffered: true, timeout: TEST_TIMEOUT_MS, skip: blind },
      async (t) => {
        await slowly(async (timeoutMs) => {
          const { rig, link } = await connected(t, { idleTimeoutMs: timeoutMs });
          link[other].socket.write(FLOOD);
          return { rig, link, reader: link[one] };
        }).then(async ({ rig, link }) => {
          t.same(rig.events, [], 'it was not taken for idle');
          t.ok((await link[one].read().received(FLOOD.length)).equals(FLOOD));
        });
      },
    );

    t.test(
      `the ${one} is done, and reads slowly what waits for it`,
      { buffered: true, timeout: TEST_TIMEOUT_MS, skip: blind },
      async (t) => {
        await slowly(async (timeoutMs) => {
          const { rig, link } = await connected(t, { halfCloseTimeoutMs: timeoutMs });
          link[one].socket.end();
          await link[other].read().ended;
          link[other].socket.write(FLOOD);
          return { rig, link, reader: link[one] };
        }).then(async ({ rig, link }) => {
          t.same(rig.events, [], 'it was not taken for silent');
          link[other].socket.end();
          t.ok((await link[one].read().all()).equals(FLOOD));
          t.equal((await rig.closed(link.conn)).reason, 'finished');
        });
      },
    );

    t.test(
      `the ${other} is done, and the ${one} reads slowly`,
      { buffered: true, timeout: TEST_TIMEOUT_MS, skip: blind },
      async (t) => {
        await slowly(async (timeoutMs) => {
          const { rig, link } = await connected(t, { halfCloseTimeoutMs: timeoutMs });
          link[other].socket.end(HELD_BY_KERNEL);
          await once(link[other].socket, 'finish');
          return { rig, link, reader: link[one] };
        }).then(async ({ rig, link }) => {
          t.same(rig.events, [], 'it was not taken for silent');
          t.ok((await link[one].read().all()).equals(HELD_BY_KERNEL));
          link[one].socket.end('reply');
          t.equal((await link[other].read().all()).toString(), 'reply');
          t.equal((await rig.closed(link.conn)).reason, 'finished');
        });
      },
    );
  }

  // Guards: a peer whose window is closed answers the kernel's probes, and lives.
  t.test('a reader that pauses has not vanished', { buffered: true }, async (t) => {
    const unackedTimeoutMs = 1000;
    const { rig, link } = await connected(t, { unackedTimeoutMs });
    link.backend.socket.write(FLOOD);
    await stalled(link.backend);
    // Another engine's timer is the clock.
    const clock = await connected(t, { idleTimeoutMs: 5 * unackedTimeoutMs });
    await clock.rig.closed(clock.link.conn);
    t.same(rig.events, []);
    t.ok((await link.client.read().received(FLOOD.length)).equals(FLOOD));
  });

  t.test('who has read everything is idle from then on', { buffered: true }, async (t) => {
    const { rig, link } = await connected(t, { idleTimeoutMs: 1000 });
    link.client.read();
    link.backend.socket.write('everything');
    await link.client.received(10);
    t.equal((await rig.closed(link.conn)).reason, 'idle_timeout');
  });

  t.test('a client that was never sent to', { buffered: true }, async (t) => {
    const rig = await Rig.start(t, make, { idleTimeoutMs: 1000, unackedTimeoutMs: 1000 });
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    rig.connect(conn, (await backend(t)).port);
    t.equal((await rig.closed(conn)).reason, 'idle_timeout');
    await near.read().ended;
  });
}

interface Slow {
  readonly rig: Rig;
  readonly link: Pair;
  readonly reader: Peer;
}

/**
 * Reads for almost twice the timeout, a piece at a time. When the wire itself stood still for most of a timeout, as on a busy
 * machine, that proves nothing, and it is tried with twice the time.
 */
async function slowly(begin: (timeoutMs: number) => Promise<Slow>): Promise<Slow> {
  for (let timeoutMs = TIMEOUT_MS; ; timeoutMs *= 2) {
    let moved = performance.now();
    let longest = 0;
    const slow = await begin(timeoutMs);
    const { rig, reader } = slow;
    await until('the kernel to hold bytes', () => unacknowledged(reader) > HELD_BYTES || rig.events.length > 0);
    const start = performance.now();
    let left = unacknowledged(reader);
    for (let piece = 0; piece < PIECES && rig.events.length === 0; piece++) {
      // What is late is made up for at once.
      const due = start + piece * PIECE_MS - performance.now();
      if (due > 0) await delay(due);
      await reader.readPiece();
      const now = unacknowledged(reader);
      longest = Math.max(longest, performance.now() - moved);
      if (now === left) continue;
      left = now;
      moved = performance.now();
    }
    if (longest < timeoutMs * 0.6) return slow;
  }
}

/** Bytes that the engine gave to the kernel for a reader, and that have not come there. */
function unacknowledged({ socket }: Peer): number {
  const entry = tcpTable().find(
    ({ localPort, remotePort }) => localPort === socket.remotePort && remotePort === socket.localPort,
  );
  return entry?.unacknowledged ?? 0;
}

import { once } from 'node:events';
import type { Test } from 'tap';
import { type TcpEntry, tcpTable } from '../fixtures/tcp-table.ts';
import { until } from '../fixtures/until.ts';
import { bytesOf, readSlowly, stalled } from './data-plane-bytes.ts';
import { RESET } from './data-plane-ends.ts';
import { backend, type MakeEngine, type Pair, type Peer, pair, Rig } from './data-plane-rig.ts';

/** More than the kernel's buffers take on the way to a peer that does not read. */
const FLOOD = Buffer.alloc(64 * 1024 * 1024);

/** Less than the kernel takes on the way to a peer that does not read; and less than it queues for an engine that does not. */
const FIRST_BYTES = 2 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

/** More than the kernel takes for a peer that does not read, at first. */
const SOME_BYTES = 400_000;

/** More than an engine reads from one socket in one turn. */
const BULK_BYTES = 4 * 1024 * 1024;

type SideName = 'client' | 'backend';

/**
 * A side sends its end and then fails. What it had finished is delivered in order, with its end, to the other side, which
 * is reset only afterwards: the direction towards the failed side was not finished.
 */
export function lateResetsSuite(t: Test, make: MakeEngine): void {
  t.jobs = 8;
  if (process.platform !== 'linux') {
    t.plan(0, 'finds sockets in /proc');
    return;
  }
  const sides = [
    ['client', 'backend'],
    ['backend', 'client'],
  ] as const;

  const connected = async (t: Test, options?: Parameters<typeof Rig.start>[2]): Promise<{ rig: Rig; link: Pair }> => {
    const rig = await Rig.start(t, make, options);
    return { rig, link: await pair(t, rig, await rig.listen(), await backend(t)) };
  };

  for (const [one, other] of sides) {
    for (const size of [0, 1, SOME_BYTES]) {
      t.test(`the ${one} sends ${size} bytes and its end, and resets`, { buffered: true }, async (t) => {
        const { rig, link } = await connected(t);
        const bytes = bytesOf(size, 1);
        await finish(link[one], bytes);
        link[one].socket.resetAndDestroy();
        await wholeFrom(t, rig, link, one, other, bytes);
      });

      t.test(
        `the ${one} sends ${size} bytes and its end, and resets for what comes then`,
        { buffered: true },
        async (t) => {
          const { rig, link } = await connected(t);
          const bytes = bytesOf(size, 1);
          const engine = await finish(link[one], bytes);
          link[one].socket.destroy();
          // The kernel answers them with a reset, and after it the engine's writes fail.
          await writeUntilGone(link[other], engine);
          await wholeFrom(t, rig, link, one, other, bytes);
        },
      );
    }

    t.test(`the ${one}'s last bytes, its end and its reset come at once`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { socket } = link[one];
      // In the turn of the loop in which the end goes out: the engine finds all of it together.
      socket.once('finish', () => socket.resetAndDestroy());
      socket.end('last words');
      await wholeFrom(t, rig, link, one, other, Buffer.from('last words'));
    });

    t.test(`the ${one} resets, and the ${other} reads long after`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const bytes = bytesOf(SOME_BYTES, 1);
      await finish(link[one], bytes);
      link[one].socket.resetAndDestroy();
      // Others, whose last side is reset when it has got everything, are the clock.
      for (let i = 0; i < 2; i++) {
        const clock = await connected(t);
        await finish(clock.link[one], Buffer.alloc(0));
        clock.link[one].socket.resetAndDestroy();
        await clock.rig.closed(clock.link.conn);
      }
      await wholeFrom(t, rig, link, one, other, bytes);
    });

    t.test(`the ${one} ends, and resets while its last bytes wait for the ${other}`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { bytes } = await finishStalled(link[one]);
      link[one].socket.resetAndDestroy();
      await wholeFrom(t, rig, link, one, other, bytes);
    });

    t.test(`the ${one} resets, the ${other} is slow and goes on sending`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { bytes, engine } = await finishStalled(link[one]);
      link[one].socket.destroy();
      await writeUntilGone(link[other], engine);
      // What comes for the failed side is dropped: its sender would not come to read otherwise.
      if (!link[other].socket.write(bytesOf(8_000_000, 2))) await once(link[other].socket, 'drain');
      await wholeFrom(t, rig, link, one, other, bytes, readSlowly);
    });

    t.test(`the ${one} did not read what the ${other} sent, ends and resets`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      link[other].socket.write(FLOOD);
      await stalled(link[other]);
      const bytes = bytesOf(SOME_BYTES, 1);
      await finish(link[one], bytes);
      link[one].socket.resetAndDestroy();
      await wholeFrom(t, rig, link, one, other, bytes);
    });

    t.test(`the ${one} resets, and the ${other} ends before it has read`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { bytes } = await finishStalled(link[one]);
      link[other].socket.end('in vain');
      link[one].socket.resetAndDestroy();
      t.ok((await link[other].read().all()).equals(bytes));
      t.equal(await link[other].closed, '', 'both have ended: there is nothing to reset');
      t.match(await rig.closed(link.conn), { reason: `${one}_reset`, [bytesFrom(one)]: bytes.length });
    });

    t.test(
      `the ${one} resets, and the ${other} goes on sending when it has read the end`,
      { buffered: true },
      async (t) => {
        const { rig, link } = await connected(t);
        await finish(link[one], bytesOf(SOME_BYTES, 1));
        link[one].socket.resetAndDestroy();
        await link[other].read().ended;
        // Guards: programs that are sending give up at once when they cannot, before they read what came.
        link[other].socket.end('and this');
        t.equal(await link[other].closed, '');
        t.match(await rig.closed(link.conn), { reason: `${one}_reset`, [bytesFrom(one)]: SOME_BYTES });
      },
    );

    t.test(`the ${one} resets without its end while its bytes wait`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      link[one].socket.write(FLOOD);
      await stalled(link[one]);
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      await cutShort(t, link[other]);
    });

    t.test(`the ${one} resets without its end, and the ${other} is sending`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      link[one].socket.write(FLOOD);
      await stalled(link[one]);
      link[one].socket.destroy();
      link[other].socket.write(bytesOf(SOME_BYTES, 1));
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      await cutShort(t, link[other]);
    });

    t.test(`the ${one} resets in the middle of bulk`, { buffered: true }, async (t) => {
      // Guards: a kernel that has told of a reset calls what is left after it an end.
      for (let round = 0; round < 3; round++) {
        const { rig, link } = await connected(t);
        const peer = link[other].read();
        for (let warm = 1; warm <= 4; warm++) {
          link[one].socket.write(bytesOf(BULK_BYTES, warm));
          await peer.received(warm * BULK_BYTES);
        }
        // The windows are wide now: more than an engine reads in one turn is with its kernel.
        link[one].socket.write(FLOOD);
        link[one].socket.resetAndDestroy();
        t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
        await cutShort(t, peer);
      }
    });

    t.test(`the ${one} resets after its end, and the ${other} while it is told`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { engine } = await finishStalled(link[one]);
      link[one].socket.resetAndDestroy();
      await until('the reset to be with the kernel', () => engine() === undefined);
      link[other].socket.resetAndDestroy();
      t.match((await rig.closed(link.conn)).reason, /^(client|backend)_reset$/);
      t.equal(rig.engine.size, 0);
    });

    t.test(`the ${one} resets after its end, and the connection is closed`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t);
      const { bytes, engine } = await finishStalled(link[one]);
      link[one].socket.destroy();
      await writeUntilGone(link[other], engine);
      rig.close(link.conn);
      const closed = await rig.closed(link.conn);
      t.equal(closed.reason, 'drained');
      t.ok(closed[bytesFrom(one)] < bytes.length, 'there was more to deliver');
      await cutShort(t, link[other]);
      t.same(rig.events, [], 'and nothing is told twice');
    });

    t.test(`the ${one} resets after its end, and the ${other} never reads`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, { halfCloseTimeoutMs: 1000 });
      const { bytes, engine } = await finishStalled(link[one]);
      link[one].socket.destroy();
      await writeUntilGone(link[other], engine);
      const closed = await rig.closed(link.conn);
      t.match(closed.reason, new RegExp(`^(${one}_reset|half_close_timeout)$`));
      t.ok(closed[bytesFrom(one)] < bytes.length, 'there was more to deliver');
      await cutShort(t, link[other]);
    });
  }
}

function bytesFrom(one: SideName): 'bytesToBackend' | 'bytesToClient' {
  return one === 'client' ? 'bytesToBackend' : 'bytesToClient';
}

/** Finds the engine's socket of a peer, as the kernel tells of it; undefined: it was closed, or reset. */
type EngineSocket = () => TcpEntry | undefined;

function engineSocket({ socket: { localPort, remotePort } }: Peer): EngineSocket {
  return () => tcpTable().find((entry) => entry.localPort === remotePort && entry.remotePort === localPort);
}

/** Sends that and the end, until both are with the engine's kernel: a reset drops what is still in the peer's own. */
async function finish(peer: Peer, bytes: Buffer): Promise<EngineSocket> {
  const engine = engineSocket(peer);
  const { socket } = peer;
  socket.end(bytes);
  if (!socket.writableFinished) await once(socket, 'finish');
  await until('the end to be with the kernel', () => engine()?.state !== 'established');
  return engine;
}

/** The same with bytes of which the engine has not read some, because the other side does not read. */
async function finishStalled(peer: Peer): Promise<{ bytes: Buffer; engine: EngineSocket }> {
  const pieces: Buffer[] = [];
  const engine = engineSocket(peer);
  do {
    const piece = bytesOf(pieces.length === 0 ? FIRST_BYTES : PIECE_BYTES, pieces.length);
    pieces.push(piece);
    peer.socket.write(piece);
    await stalled(peer);
  } while (engine()?.unread === 0);
  await finish(peer, Buffer.alloc(0));
  return { bytes: Buffer.concat(pieces), engine };
}

/** Sends a byte now and then, until the engine's other socket was reset for them. */
async function writeUntilGone({ socket }: Peer, engine: EngineSocket): Promise<void> {
  await until('a reset of the other side', () => {
    socket.write('x');
    return engine() === undefined;
  });
}

/** All of it came, and the end; and then a reset, if the other side does not end by itself. */
async function wholeFrom(
  t: Test,
  rig: Rig,
  link: Pair,
  one: SideName,
  other: SideName,
  bytes: Buffer,
  read: (peer: Peer) => void = (peer) => peer.read(),
): Promise<void> {
  const peer = link[other];
  read(peer);
  await Promise.race([peer.ended, peer.closed]);
  t.ok(Buffer.concat(peer.chunks).equals(bytes), `${peer.length} of ${bytes.length} bytes came`);
  t.ok(peer.socket.readableEnded, 'and the end');
  // An engine that cannot ask what its peer has got gives it more time for more bytes than these.
  const ends = bytes.length > 64 * 1024;
  if (ends) peer.socket.end();
  const closed = await rig.closed(link.conn);
  t.equal(closed[bytesFrom(one)], bytes.length);
  // It may not have noticed the reset of a side to which there was nothing to send.
  t.match(closed.reason, ends ? new RegExp(`^(${one}_reset|finished)$`) : `${one}_reset`);
  // What it still has to send may reach a socket that is gone, where it comes late to end.
  if (ends) t.match(await peer.closed, /^(|ECONNRESET|EPIPE)$/);
  else t.match(await peer.resetAfterEnd(), RESET);
}

/** A part came, and nothing that could be taken for the end of the whole. */
async function cutShort(t: Test, peer: Peer): Promise<void> {
  peer.socket.resume();
  await Promise.race([peer.ended, peer.closed]);
  if (t.notOk(peer.socket.readableEnded)) t.match(await peer.closed, RESET);
}

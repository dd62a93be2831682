import type { Test } from 'tap';
import { stalled } from './data-plane-bytes.ts';
import { RESET } from './data-plane-ends.ts';
import { backend, type MakeEngine, type Pair, pair, Rig } from './data-plane-rig.ts';

/** More than the kernel's buffers take on the way to a peer that does not read. */
const FLOOD = Buffer.alloc(64 * 1024 * 1024);

/**
 * A connection whose bytes stand still because one side does not read. On a busy machine its time may have been over
 * before they did; the next one has twice as much.
 */
async function standstill(
  writer: 'client' | 'backend',
  connect: (timeoutMs: number) => Promise<{ rig: Rig; link: Pair }>,
): Promise<{ rig: Rig; link: Pair }> {
  for (let timeoutMs = 1000; ; timeoutMs *= 2) {
    const start = performance.now();
    const { rig, link } = await connect(timeoutMs);
    link[writer].socket.write(FLOOD);
    await stalled(link[writer]);
    if (performance.now() - start < timeoutMs) return { rig, link };
  }
}

/** What engines look for once a second: these tests wait for it, so they run beside each other. */
export function checksSuite(t: Test, make: MakeEngine, blind: string | false): void {
  t.jobs = 8;
  const sides = [
    ['client', 'backend'],
    ['backend', 'client'],
  ] as const;

  const connected = async (t: Test, options: Parameters<typeof Rig.start>[2]): Promise<{ rig: Rig; link: Pair }> => {
    const rig = await Rig.start(t, make, options);
    return { rig, link: await pair(t, rig, await rig.listen(), await backend(t)) };
  };

  t.test('no byte either way', { buffered: true }, async (t) => {
    const { rig, link } = await connected(t, { idleTimeoutMs: 100 });
    link.client.read();
    link.backend.read();
    const closed = await rig.closed(link.conn);
    t.equal(closed.reason, 'idle_timeout');
    t.ok(closed.durationMs >= 100, `not before its time: ${closed.durationMs} ms`);
    link.client.socket.end();
    link.backend.socket.end();
    await Promise.all([link.client.closed, link.backend.closed]);
  });

  t.test('a byte now and then keeps a connection', { buffered: true }, async (t) => {
    // A busy machine may hold everything up, bytes too, for the whole time; then it is tried with twice as much.
    for (let idleTimeoutMs = 1000; ; idleTimeoutMs *= 2) {
      const { rig, link } = await connected(t, { idleTimeoutMs });
      const quiet = await pair(t, rig, await rig.listen(), await backend(t));
      let last = performance.now();
      let longest = 0;
      const look = () => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      };
      // Whoever gets a byte sends one back, until the quiet connection beside it has timed out.
      for (const { socket } of [link.client.read(), link.backend.read()]) {
        socket.on('data', (data) => {
          look();
          socket.write(data);
        });
      }
      link.client.socket.write('ball');
      const { conn } = await rig.next('closed');
      look();
      if (longest > idleTimeoutMs / 2) continue;
      t.equal(conn, quiet.conn);
      t.equal(rig.engine.size, 1);
      return;
    }
  });

  for (const [one, other] of sides) {
    t.test(`the ${one} is done and the ${other} is silent`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, { halfCloseTimeoutMs: 100, idleTimeoutMs: 3_600_000 });
      const open = await pair(t, rig, await rig.listen(), await backend(t));
      link[one].socket.end();
      link[one].read();
      await link[other].read().ended;
      t.match(await rig.next('closed'), { conn: link.conn, reason: 'half_close_timeout' });
      t.not(open.conn, link.conn);
      t.equal(rig.engine.size, 1, 'a connection that is open both ways has no such timeout');
    });

    // Guards: a slot is free only when its backend need not hold the connection any longer.
    t.test(
      `the ${other} has been told the end, and would not hear of a close`,
      { buffered: true, skip: blind },
      async (t) => {
        const { rig, link } = await connected(t, { halfCloseTimeoutMs: 100 });
        link[one].socket.end('everything');
        link[one].read();
        t.equal((await link[other].read().all()).toString(), 'everything');
        t.match(await rig.next('closed'), { conn: link.conn, reason: 'half_close_timeout' });
        // Node does not watch a socket whose end it has read. A close alone would let this write through.
        const { socket } = link[other];
        const failure = await new Promise((resolve) => socket.write('more', resolve));
        t.match(failure, { code: 'EPIPE' });
        await link[one].ended;
      },
    );

    // Guards: a peer must not take a part for the whole.
    t.test(`no byte moves because the ${other} does not take what waits for it`, { buffered: true }, async (t) => {
      const { rig, link } = await standstill(one, (idleTimeoutMs) => connected(t, { idleTimeoutMs }));
      t.equal((await rig.closed(link.conn)).reason, 'idle_timeout');
      t.equal(await link[other].read().closed, 'ECONNRESET', 'the one that did not get it all');
      t.match(await link[one].read().closed, RESET, 'and the one whose bytes were not taken');
    });

    t.test(`the ${other} is done, and does not take what waits for it`, { buffered: true }, async (t) => {
      const { rig, link } = await standstill(one, async (halfCloseTimeoutMs) => {
        const { rig, link } = await connected(t, { halfCloseTimeoutMs });
        link[other].socket.end();
        await link[one].read().ended;
        return { rig, link };
      });
      t.equal((await rig.closed(link.conn)).reason, 'half_close_timeout');
      t.equal(await link[other].read().closed, 'ECONNRESET', 'the one that did not get it all');
      t.match(await link[one].closed, RESET, 'and the one whose bytes were not taken');
    });

    t.test(`the stalled ${one} resets`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, {});
      link[one].socket.write(FLOOD);
      await stalled(link[one]);
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      t.equal(await link[other].read().closed, 'ECONNRESET');
    });

    t.test(`the ${one} resets instead of reading what stalls the ${other}`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, {});
      link[other].socket.write(FLOOD);
      await stalled(link[other]);
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      t.match(await link[other].read().closed, RESET);
    });

    t.test(`the ${one} resets after its end`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, {});
      link[one].socket.end();
      await link[other].read().ended;
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      t.match(await link[other].resetAfterEnd(), RESET);
    });
  }

  t.test('timeouts that are off', { buffered: true }, async (t) => {
    const off = await connected(t, { halfCloseTimeoutMs: 0, idleTimeoutMs: 0 });
    off.link.client.socket.end();
    // Another engine's timeout is the clock: it has checked at least once, a second after this one's connection.
    const on = await connected(t, { idleTimeoutMs: 1000 });
    await on.rig.next('closed');
    t.same(off.rig.events, []);
    off.link.backend.socket.end('still there');
    t.equal((await off.link.client.read().all()).toString(), 'still there');
  });
}

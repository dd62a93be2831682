import type { Test } from 'tap';
import { stalled } from './data-plane-bytes.ts';
import { RESET } from './data-plane-ends.ts';
import { backend, type MakeEngine, type Pair, pair, Rig } from './data-plane-rig.ts';

/** What engines look for once a second: these tests wait for it, so they run beside each other. */
export function checksSuite(t: Test, make: MakeEngine): void {
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
    const { rig, link } = await connected(t, { idleTimeoutMs: 1000 });
    const quiet = await pair(t, rig, await rig.listen(), await backend(t));
    link.client.read();
    link.backend.read();
    // Whoever gets a byte sends one back, until the quiet connection beside it has timed out.
    for (const side of [link.client, link.backend]) side.socket.on('data', (data) => side.socket.write(data));
    link.client.socket.write('ball');
    t.equal((await rig.next('closed')).conn, quiet.conn);
    t.equal(rig.engine.size, 1);
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

    t.test(`the stalled ${one} resets`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, {});
      link[one].socket.write(Buffer.alloc(64 * 1024 * 1024));
      await stalled(link[one]);
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      t.equal(await link[other].read().closed, 'ECONNRESET');
    });

    t.test(`the ${one} resets instead of reading what stalls the ${other}`, { buffered: true }, async (t) => {
      const { rig, link } = await connected(t, {});
      link[other].socket.write(Buffer.alloc(64 * 1024 * 1024));
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

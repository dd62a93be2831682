import type { Test } from 'tap';
import { lastBytesSuite } from './data-plane-last-bytes.ts';
import { backend, type MakeEngine, type Pair, pair, Rig } from './data-plane-rig.ts';

/** A reset, as a socket that writes sees it. */
export const RESET = /^(ECONNRESET|EPIPE)$/;

/** How a connection ends: halves, resets, and the reason that is told. */
export function endsSuite(t: Test, make: MakeEngine): void {
  const sides = [
    ['client', 'backend'],
    ['backend', 'client'],
  ] as const;

  const connected = async (t: Test): Promise<{ rig: Rig; link: Pair }> => {
    const rig = await Rig.start(t, make);
    return { rig, link: await pair(t, rig, await rig.listen(), await backend(t)) };
  };

  for (const [one, other] of sides) {
    t.test(`the ${one}'s end is passed on, and a late reply still comes`, async (t) => {
      const { rig, link } = await connected(t);
      link[one].socket.end('question');
      t.equal((await link[other].read().all()).toString(), 'question');
      // The end has come through the engine: this is later than a relay that closes both ways would allow.
      const reply = Buffer.alloc(1_000_000, 'late ');
      link[other].socket.write(reply);
      t.ok((await link[one].read().received(reply.length)).equals(reply));
      link[other].socket.end();
      await link[one].ended;
      t.equal(await link[one].closed, '');
      t.equal(await link[other].closed, '');
      t.equal((await rig.closed(link.conn)).reason, 'finished');
    });

    t.test(`a reset by the ${one} is passed on as one`, async (t) => {
      const { rig, link } = await connected(t);
      link[one].socket.write('before');
      await link[other].read().received(6);
      link[one].socket.resetAndDestroy();
      t.equal(await link[other].closed, 'ECONNRESET');
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
    });

    t.test(`a reset by the ${one} after the ${other}'s end`, async (t) => {
      const { rig, link } = await connected(t);
      link[other].socket.end();
      await link[one].read().ended;
      link[one].socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
      t.equal(await link[other].read().closed, 'ECONNRESET');
    });

    t.test(`the ${one} closes while the ${other} is sending`, async (t) => {
      const { rig, link } = await connected(t);
      link[other].socket.write(Buffer.alloc(8_000_000));
      await link[one].read().received(1);
      // Not all of it was read, so the kernel resets.
      link[one].socket.pause();
      link[one].socket.destroy();
      t.match(await link[other].read().closed, RESET);
      t.equal((await rig.closed(link.conn)).reason, `${one}_reset`);
    });
  }

  t.test('the last bytes', async (t) => lastBytesSuite(t, make));

  t.test('both end at once', async (t) => {
    const { rig, link } = await connected(t);
    link.client.socket.end();
    link.backend.socket.end();
    await Promise.all([link.client.read().ended, link.backend.read().ended]);
    t.match(await rig.closed(link.conn), { reason: 'finished', bytesToBackend: 0, bytesToClient: 0 });
  });

  t.test('both reset at once', async (t) => {
    const { rig, link } = await connected(t);
    link.client.socket.resetAndDestroy();
    link.backend.socket.resetAndDestroy();
    t.match((await rig.closed(link.conn)).reason, /^(client|backend)_reset$/);
  });

  t.test('the backend ends and resets before anything was sent', async (t) => {
    const { rig, link } = await connected(t);
    link.backend.socket.end('bye');
    t.equal((await link.client.read().all()).toString(), 'bye');
    link.client.socket.end();
    await link.backend.read().ended;
    t.equal((await rig.closed(link.conn)).reason, 'finished');
  });

  t.test('close resets both sides', async (t) => {
    const { rig, link } = await connected(t);
    link.client.read();
    link.backend.read();
    rig.close(link.conn);
    t.match(await rig.closed(link.conn), { reason: 'drained' });
    t.equal(await link.client.closed, 'ECONNRESET');
    t.equal(await link.backend.closed, 'ECONNRESET');
  });

  t.test('close resets both sides when one has ended', async (t) => {
    for (const [one, other] of sides) {
      const { rig, link } = await connected(t);
      link[one].socket.end();
      await link[other].read().ended;
      rig.close(link.conn);
      t.match(await rig.closed(link.conn), { reason: 'drained' });
      t.equal(await link[one].read().closed, 'ECONNRESET');
      t.match(await link[other].resetAfterEnd(), RESET);
    }
  });

  t.test('close in the same turn as an end', async (t) => {
    // The engine's shutdown may be under way when it is told to reset: no descriptor may be lost by that.
    for (let round = 0; round < 20; round++) {
      const { rig, link } = await connected(t);
      link.client.socket.end();
      link.client.read();
      link.backend.read().socket.on('data', () => {});
      link.backend.socket.once('end', () => rig.close(link.conn));
      await link.client.closed;
      t.match((await rig.closed(link.conn)).reason, /^(drained|finished)$/);
      t.equal(rig.engine.size, 0);
    }
  });

  t.test('a number of a connection that is over finds nobody, whoever came since', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    const stale: number[] = [];
    // Guards: an answer may come late, and the engine may have used the place again.
    for (let i = 0; i < 5; i++) {
      const link = await pair(t, rig, port, to);
      t.notOk(stale.includes(link.conn), 'a number of its own');
      for (const conn of stale) {
        rig.close(conn);
        rig.reject(conn, 'reset');
        rig.connect(conn, to.port);
      }
      link.client.socket.write('still here');
      t.equal((await link.backend.read().received(10)).toString(), 'still here');
      link.client.socket.resetAndDestroy();
      t.equal((await rig.closed(link.conn)).reason, 'client_reset');
      stale.push(link.conn);
    }
  });

  t.test('numbers of connections that are open together differ', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    const conns = new Set<number>();
    for (let i = 0; i < 20; i++) conns.add((await pair(t, rig, port, to)).conn);
    t.equal(conns.size, 20);
    t.equal(rig.engine.size, 20);
  });
}

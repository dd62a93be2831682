import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Conn, DataPlaneOptions } from '../../src/application/ports/data-plane.ts';
import { duplicate } from './data-plane-duplicate.ts';
import { bind, client, LISTENER, type MakeEngine, Rig } from './data-plane-rig.ts';

/** For so long an engine leaves clients to others at least, in ms. */
const PATIENCE_MS = 50;

/** Two engines that accept on one socket, as two workers do; the second one listens when it is told to. */
async function two(t: Test, make: MakeEngine, options: Partial<DataPlaneOptions> = {}) {
  const { handle, port } = bind();
  const copies = { first: await duplicate(t, handle), second: await duplicate(t, handle) };
  // Closed with the test: nobody listens on it, it only keeps the queue.
  t.teardown(() => handle.close());
  const reopen = async () => rig.engine.listen(await duplicate(t, handle), LISTENER);
  const rig: Rig = await Rig.start(t, make, { ...options, onReopen: () => void reopen() });
  const other = await Rig.start(t, make);
  await rig.engine.listen(copies.first, LISTENER);
  return { rig, other, port, listenToo: () => other.engine.listen(copies.second, LISTENER) };
}

/** Clients are left to others while an engine holds as many as it may. */
export function shareSuite(t: Test, make: MakeEngine): void {
  t.test('clients beyond its share are left to the others', async (t) => {
    // It is patient for a moment only: what takes longer, on a machine with other work, proves nothing and is done again.
    for (let took = PATIENCE_MS; took >= PATIENCE_MS; ) {
      const { rig, other, port, listenToo } = await two(t, make);
      rig.engine.acceptBelow(2);
      await listenToo();
      other.engine.acceptBelow(1);
      const start = performance.now();
      for (let n = 0; n < 3; n++) await client(t, port);
      const accepted = [rig.next('accepted'), rig.next('accepted'), other.next('accepted')];
      await Promise.race([Promise.all(accepted), delay(PATIENCE_MS)]);
      took = performance.now() - start;
      if (took < PATIENCE_MS) t.same([rig.engine.size, other.engine.size], [2, 1]);
    }
  });

  t.test('one that is full leaves clients to the others, and refuses none of them', async (t) => {
    for (let took = PATIENCE_MS; took >= PATIENCE_MS; ) {
      const { rig, other, port, listenToo } = await two(t, make, { maxConnections: 1 });
      rig.engine.acceptBelow(100);
      const start = performance.now();
      await client(t, port);
      await rig.next('accepted');
      await listenToo();
      await client(t, port);
      await Promise.race([other.next('accepted'), delay(PATIENCE_MS)]);
      took = performance.now() - start;
      if (took < PATIENCE_MS) t.same([rig.engine.size, other.engine.size, rig.events.length], [1, 1, 0]);
    }
  });

  t.test('it accepts again when one leaves', async (t) => {
    const { rig, port } = await two(t, make);
    rig.engine.acceptBelow(1);
    await client(t, port);
    const { conn } = await rig.next('accepted');
    await client(t, port);
    rig.close(conn);
    await rig.next('accepted');
    t.equal(rig.engine.size, 1);
  });

  t.test('it accepts again when it may hold more, and without end when there is no limit', async (t) => {
    const { rig, port } = await two(t, make);
    rig.engine.acceptBelow(1);
    await client(t, port);
    await rig.next('accepted');
    await client(t, port);
    rig.engine.acceptBelow(2);
    await rig.next('accepted');
    rig.engine.acceptBelow(0);
    for (let n = 0; n < 5; n++) {
      await client(t, port);
      await rig.next('accepted');
    }
    t.equal(rig.engine.size, 7);
  });

  t.test('a client that nobody else takes is not left waiting', async (t) => {
    const { rig, port } = await two(t, make);
    rig.engine.acceptBelow(1);
    const conns: Conn[] = [];
    for (let n = 0; n < 4; n++) {
      await client(t, port);
      conns.push((await rig.next('accepted')).conn);
    }
    t.equal(new Set(conns).size, 4, 'all were taken, by an engine that may hold one');
  });

  t.test('one that stopped accepting while it held back stays stopped', async (t) => {
    const { rig, other, port, listenToo } = await two(t, make);
    rig.engine.acceptBelow(1);
    await client(t, port);
    const { conn } = await rig.next('accepted');
    await listenToo();
    rig.engine.stopAccepting();
    rig.close(conn);
    await rig.closed(conn);
    rig.engine.acceptBelow(0);
    for (let n = 0; n < 5; n++) {
      await client(t, port);
      await other.next('accepted');
    }
    t.same(
      rig.events.map(({ type }) => type),
      [],
    );
  });
}

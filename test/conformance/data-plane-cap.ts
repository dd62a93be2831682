import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Conn, DataPlaneOptions } from '../../src/application/ports/data-plane.ts';
import { duplicate } from './data-plane-duplicate.ts';
import { bind, client, LISTENER, type MakeEngine, Rig } from './data-plane-rig.ts';

/** For so long an engine leaves clients to others at least, in ms. */
const PATIENCE_MS = 50;

/** Runs of a test that may take longer than that: on a machine with other work, they prove nothing. */
const ATTEMPTS = 20;

/** Two engines that accept on one socket, as two workers do; the second one listens when it is told to. */
async function two(t: Test, make: MakeEngine, options: Partial<DataPlaneOptions> = {}) {
  const { handle, port } = bind();
  const [first, second, ...spare] = await Promise.all([1, 2, 3, 4].map(() => duplicate(t, handle)));
  // Nobody listens on it, it only keeps the queue.
  t.teardown(() => {
    for (const left of [handle, ...spare]) left.close();
  });
  const reopen = async () => rig.engine.listen(spare.shift() ?? (await duplicate(t, handle)), LISTENER);
  const rig: Rig = await Rig.start(t, make, { ...options, onReopen: () => void reopen() });
  const other = await Rig.start(t, make);
  await rig.engine.listen(first!, LISTENER);
  return { rig, other, port, listenToo: () => other.engine.listen(second!, LISTENER) };
}

type Two = Awaited<ReturnType<typeof two>>;

/** What `act` leads to when it takes less time than an engine is patient; with engines of its own for every attempt. */
async function withinPatience(prepare: () => Promise<Two>, act: (engines: Two) => Promise<unknown>): Promise<Two> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const engines = await prepare();
    const start = performance.now();
    await Promise.race([act(engines), delay(PATIENCE_MS)]);
    if (performance.now() - start < PATIENCE_MS) return engines;
  }
  throw new Error(`it took ${PATIENCE_MS} ms in each of ${ATTEMPTS} attempts`);
}

/** Clients are left to others while an engine holds as many as it may. */
export function capSuite(t: Test, make: MakeEngine): void {
  /** With one client held, which is as many as the first engine may hold. */
  const full = async () => {
    const engines = await two(t, make);
    engines.rig.engine.acceptBelow(1);
    await client(t, engines.port);
    return engines;
  };

  t.test('clients beyond its connection cap are left to the others', async (t) => {
    const prepare = async () => {
      const engines = await two(t, make);
      engines.rig.engine.acceptBelow(2);
      engines.other.engine.acceptBelow(1);
      await engines.listenToo();
      return engines;
    };
    const { rig, other } = await withinPatience(prepare, async ({ rig, other, port }) => {
      for (let n = 0; n < 3; n++) await client(t, port);
      await Promise.all([rig.next('accepted'), rig.next('accepted'), other.next('accepted')]);
    });
    t.same([rig.engine.size, other.engine.size], [2, 1]);
  });

  t.test('one that is full leaves clients to the others, and refuses none of them', async (t) => {
    const prepare = async () => {
      const engines = await two(t, make, { maxConnections: 1 });
      engines.rig.engine.acceptBelow(100);
      return engines;
    };
    const { rig, other } = await withinPatience(prepare, async ({ rig, other, port, listenToo }) => {
      await client(t, port);
      await rig.next('accepted');
      await listenToo();
      await client(t, port);
      await other.next('accepted');
    });
    t.same([rig.engine.size, other.engine.size, rig.events.length], [1, 1, 0]);
  });

  t.test('it accepts again at once when one leaves', async (t) => {
    const { rig } = await withinPatience(full, async ({ rig, port }) => {
      const { conn } = await rig.next('accepted');
      await client(t, port);
      rig.close(conn);
      await rig.next('accepted');
    });
    t.equal(rig.engine.size, 1);
  });

  t.test('it accepts again at once when it may hold more, and without end when there is no limit', async (t) => {
    const { rig, port } = await withinPatience(full, async ({ rig, port }) => {
      await rig.next('accepted');
      await client(t, port);
      rig.engine.acceptBelow(2);
      await rig.next('accepted');
    });
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

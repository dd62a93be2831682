import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { EpollDataPlane } from '../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import { duplicate } from '../../../conformance/data-plane-duplicate.ts';
import { bind, client, LISTENER, type MakeEngine, Rig } from '../../../conformance/data-plane-rig.ts';
import { BUILD, SKIPPED } from '../../../fixtures/engines.ts';

/** For so long an engine on standby leaves clients to others at least, in ms. */
const PATIENCE_MS = 200;
const CLIENTS = 6;
/** A machine with other work may take longer, and proves nothing then. */
const ATTEMPTS = 20;

if (SKIPPED.epoll !== false) t.plan(0, SKIPPED.epoll);
else standbyTests((options) => new EpollDataPlane(options, loadAddon(BUILD).addon!));

function standbyTests(make: MakeEngine): void {
  /** Two engines that accept on one socket, as two workers do; the first is on standby. */
  const two = async (t: Test) => {
    const { handle, port } = bind();
    const [first, second] = await Promise.all([duplicate(t, handle), duplicate(t, handle)]);
    t.teardown(() => handle.close());
    const rig = await Rig.start(t, make);
    const other = await Rig.start(t, make);
    rig.engine.standBy(true);
    await rig.engine.listen(first, LISTENER);
    return { rig, other, port, listenToo: () => other.engine.listen(second, LISTENER) };
  };
  type Two = Awaited<ReturnType<typeof two>>;

  const withinPatience = async (t: Test, act: (engines: Two) => Promise<unknown>): Promise<Two> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const engines = await two(t);
      const start = performance.now();
      await Promise.race([act(engines), delay(PATIENCE_MS)]);
      if (performance.now() - start < PATIENCE_MS) return engines;
    }
    throw new Error(`it took ${PATIENCE_MS} ms in each of ${ATTEMPTS} attempts`);
  };

  t.test('all clients are left to the others', async (t) => {
    const { rig, other } = await withinPatience(t, async ({ other, port, listenToo }) => {
      await listenToo();
      for (let n = 0; n < CLIENTS; n++) {
        await client(t, port);
        await other.next('accepted');
      }
    });
    t.same([rig.engine.size, other.engine.size], [0, CLIENTS]);
  });

  t.test('clients that nobody else takes are not left waiting', async (t) => {
    const { rig, port } = await two(t);
    for (let n = 0; n < 3; n++) {
      await client(t, port);
      await rig.next('accepted');
    }
    t.equal(rig.engine.size, 3);
  });

  t.test('it takes what waits at once when its standby is over', async (t) => {
    const { rig } = await withinPatience(t, async ({ rig, port }) => {
      await client(t, port);
      rig.engine.standBy(false);
      await rig.next('accepted');
    });
    t.equal(rig.engine.size, 1);
  });

  t.test('that it may hold any number does not end it', async (t) => {
    const { rig, other } = await withinPatience(t, async ({ rig, other, port, listenToo }) => {
      rig.engine.acceptBelow(10);
      rig.engine.acceptBelow(0);
      await listenToo();
      for (let n = 0; n < CLIENTS; n++) {
        await client(t, port);
        await other.next('accepted');
      }
    });
    t.same([rig.engine.size, other.engine.size], [0, CLIENTS]);
  });
}

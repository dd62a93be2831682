import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import type { DataPlaneEvent } from '../../src/application/ports/data-plane.ts';
import { holdUp } from '../fixtures/hold-up.ts';
import { lateBackend } from './data-plane-blackhole.ts';
import { backend, client, type MakeEngine, pair, Rig } from './data-plane-rig.ts';

/** Longer than it takes the kernel to ask a backend again that did not answer. */
const HELD_UP_MS = 2000;
const TIMEOUT_MS = 500;

/** A turn begins with its timers: what the kernel had by then counts all the same. */
export function heldUpSuite(t: Test, make: MakeEngine): void {
  t.test('a backend that answered while we were held up is not blamed for it', async (t) => {
    const rig = await Rig.start(t, make, { connectTimeoutMs: TIMEOUT_MS });
    await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    const { port, open } = await lateBackend(t);
    rig.connect(conn, port);
    await nextTurn();
    open();
    holdUp(HELD_UP_MS);
    t.match(await rig.until((event): event is DataPlaneEvent => event.type.startsWith('connect')), {
      type: 'connected',
    });
  });

  for (const side of ['client', 'backend'] as const) {
    t.test(`a ${side} that spoke while we were held up is not idle`, async (t) => {
      const rig = await Rig.start(t, make, { idleTimeoutMs: TIMEOUT_MS });
      const link = await pair(t, rig, await rig.listen(), await backend(t));
      const other = link[side === 'client' ? 'backend' : 'client'].read();
      link[side].socket.write('in time');
      holdUp(HELD_UP_MS);
      t.equal((await other.all()).toString(), 'in time');
      t.equal((await rig.closed(link.conn)).reason, 'idle_timeout', 'later');
    });
  }
}

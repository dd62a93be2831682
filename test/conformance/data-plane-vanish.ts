import type { Test } from 'tap';
import { noOtherHost, otherHost } from '../fixtures/network-namespace.ts';
import { RESET } from './data-plane-ends.ts';
import { backend, client, type MakeEngine, Rig } from './data-plane-rig.ts';

const TIMEOUTS = { unackedTimeoutMs: 1000 } as const;

/** Peers whose network goes down: they send no reset and no end, now or later. */
export function vanishSuite(t: Test, make: MakeEngine, blind: string | false): void {
  const skip = blind || noOtherHost();

  t.test('a client that vanishes while it is sent to', { skip }, async (t) => {
    const { rig, host, far, conn } = await distantClient(t, make);
    const bytes = setInterval(() => far.socket.write('on and on '), 20);
    t.teardown(() => clearInterval(bytes));
    host.vanish();
    t.equal((await rig.closed(conn)).reason, 'client_reset');
    t.match(await far.read().closed, RESET);
  });

  t.test('a client that vanishes before its end was acknowledged', { skip }, async (t) => {
    const { rig, host, far, conn } = await distantClient(t, make);
    host.vanish();
    far.socket.end();
    t.equal((await rig.closed(conn)).reason, 'client_reset');
    t.match(await far.read().closed, RESET);
  });

  t.test('a backend that vanishes while it is sent to', { skip }, async (t) => {
    const host = await otherHost(t);
    const rig = await Rig.start(t, make, TIMEOUTS);
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    rig.connect(conn, await host.listen(), host.there);
    await rig.next('connected');
    const bytes = setInterval(() => near.socket.write('on and on '), 20);
    t.teardown(() => clearInterval(bytes));
    host.vanish();
    t.equal((await rig.closed(conn)).reason, 'backend_reset');
    t.match(await near.read().closed, RESET);
  });

  // Guards: the time is that of bytes that are under way, and nothing is here.
  t.test('a peer whose network is down for a while, and to which nothing is sent', { skip }, async (t) => {
    const { rig, host, far, conn } = await distantClient(t, make);
    host.vanish();
    // Another engine's timer is the clock.
    const clock = await Rig.start(t, make, { idleTimeoutMs: 4 * TIMEOUTS.unackedTimeoutMs });
    await client(t, await clock.listen());
    const { conn: other } = await clock.next('accepted');
    clock.connect(other, (await backend(t)).port);
    await clock.closed(other);
    t.same(rig.events, []);
    rig.close(conn);
    t.match(await far.read().closed, RESET);
  });

  async function distantClient(t: Test, make: MakeEngine) {
    const host = await otherHost(t);
    const rig = await Rig.start(t, make, TIMEOUTS);
    const to = await backend(t);
    await host.connect(await rig.listen(host.here));
    const { conn } = await rig.next('accepted');
    rig.connect(conn, to.port);
    await rig.next('connected');
    return { rig, host, far: await to.accept(), conn };
  }
}

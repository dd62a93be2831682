import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import { tcpTable } from '../fixtures/tcp-table.ts';
import { until } from '../fixtures/until.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { backend, client, type MakeEngine, type Pair, pair, Rig, refusingPort } from './data-plane-rig.ts';

/** How often each way is gone. */
const ROUNDS = 20;

/** Every way that a connection can go gives back its descriptors. */
export function descriptorsSuite(t: Test, make: MakeEngine): void {
  const skip = process.platform === 'linux' ? false : 'counts descriptors in /proc';

  t.test('a silent peer is asked whether it is still there, on both sides', { skip }, async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    await pair(t, rig, port, to);
    const timers = () =>
      tcpTable()
        .filter((entry) => entry.state === 'established' && (entry.localPort === port || entry.remotePort === to.port))
        .map(({ timer }) => timer)
        .join();
    await until('a keepalive timer on both sides', async () => timers() === '02,02');
  });

  t.test('none is left after a few hundred connections', { skip }, async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const to = await backend(t);
    const refusing = refusingPort(t);
    const lives: ((link: Pair) => void)[] = [
      ({ client, backend }) => {
        client.socket.end('question');
        backend.socket.end('answer');
      },
      ({ client }) => client.socket.resetAndDestroy(),
      ({ backend }) => backend.socket.resetAndDestroy(),
      ({ client, backend }) => {
        client.socket.end();
        backend.socket.resetAndDestroy();
      },
      ({ client, backend }) => {
        client.socket.resetAndDestroy();
        backend.socket.resetAndDestroy();
      },
      ({ client, backend }) => {
        client.socket.destroy();
        backend.socket.destroy();
      },
      ({ conn, client }) => {
        client.socket.end();
        rig.close(conn);
      },
      ({ conn }) => rig.close(conn),
    ];
    const one = async (life: (link: Pair) => void) => {
      const link = await pair(t, rig, port, to);
      link.client.read();
      link.backend.read();
      life(link);
      await rig.closed(link.conn);
      link.client.socket.end();
      link.backend.socket.end();
      await Promise.all([link.client.closed, link.backend.closed]);
    };
    const turnedAway = async (how: 'close' | 'reset') => {
      const near = (await client(t, port)).read();
      const { conn } = await rig.next('accepted');
      rig.connect(conn, refusing);
      await rig.next('connectFailed');
      rig.reject(conn, how);
      await rig.closed(conn);
      near.socket.end();
      await near.closed;
    };
    const hole = await blackhole(t);
    const goneWhileDialled = async () => {
      const near = await client(t, port);
      const { conn } = await rig.next('accepted');
      rig.connect(conn, hole);
      near.socket.resetAndDestroy();
      await rig.closed(conn);
    };
    const round = async () => {
      for (const life of lives) await one(life);
      await turnedAway('close');
      await turnedAway('reset');
    };
    // The first round opens what stays open: pools, the channels of the standard streams.
    await round();
    await goneWhileDialled();
    const before = descriptors();
    for (let i = 0; i < ROUNDS; i++) await round();
    // Side by side, for such a one may be found only by a look around that comes once a second.
    await Promise.all(Array.from({ length: ROUNDS }, goneWhileDialled));
    t.equal(descriptors(), before);
    t.equal(rig.engine.size, 0);
  });
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

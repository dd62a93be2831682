import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import type { PrereadOptions } from '../../src/application/ports/data-plane.ts';
import { until } from '../fixtures/until.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { RESET } from './data-plane-ends.ts';
import { backend, client, LISTENER, type MakeEngine, Rig } from './data-plane-rig.ts';

const HEAD: PrereadOptions = { maxBytes: 1000, timeoutMs: 3_600_000 };

/** What becomes of clients whose preread is awaited: resets, limits, drains. */
export function prereadEndsSuite(t: Test, make: MakeEngine): void {
  const listening = async (t: Test, options: Parameters<typeof Rig.start>[2] = {}) => {
    const rig = await Rig.start(t, make, options);
    return { rig, port: await rig.listen('127.0.0.1', LISTENER, HEAD) };
  };

  t.test('a client that resets before it was told of is gone without a word', async (t) => {
    const { rig, port } = await listening(t);
    const near = await client(t, port);
    await until('it is held', () => rig.engine.size === 1);
    near.socket.resetAndDestroy();
    await until('it is not held any more', () => rig.engine.size === 0);
    const next = await client(t, port);
    next.socket.write('next');
    await rig.next('accepted');
    t.same(rig.events, []);
    t.equal(rig.engine.size, 1);
  });

  t.test('a client that resets while prereadMore waits', async (t) => {
    const { rig, port } = await listening(t);
    const near = await client(t, port);
    near.socket.write('one');
    const { conn } = await rig.next('accepted');
    rig.prereadMore(conn);
    near.socket.resetAndDestroy();
    t.match(await rig.closed(conn), { reason: 'client_reset', bytesToBackend: 0 });
    t.same(rig.events, []);
  });

  t.test('a client that resets after it was told of', async (t) => {
    const { rig, port } = await listening(t, { connectTimeoutMs: 50 });
    const to = await backend(t);
    for (const dialled of [false, true]) {
      const near = await client(t, port);
      near.socket.write('one');
      const { conn } = await rig.next('accepted');
      if (dialled) {
        rig.prereadMore(conn);
        near.socket.write('two');
        await rig.next('preread');
        rig.connect(conn, await blackhole(t));
        near.socket.resetAndDestroy();
        const end = await rig.until((event) => event.type === 'connectFailed' || event.type === 'closed');
        // An engine may notice at once.
        if (end.type === 'closed') {
          t.equal(end.reason, 'client_reset');
          continue;
        }
      } else {
        near.socket.resetAndDestroy();
        await near.closed;
      }
      for (;;) {
        rig.connect(conn, to.port);
        const end = await rig.until((event) => event.type === 'connectFailed' || event.type === 'closed');
        // A short connect timer may be over on a machine with other work.
        if (end.type === 'connectFailed') continue;
        t.equal(end.reason, 'client_reset');
        break;
      }
    }
  });

  t.test('a backend that resets instead of taking a preread', async (t) => {
    const { rig, port } = await listening(t);
    const near = await client(t, port);
    near.socket.write('question');
    const { conn } = await rig.next('accepted');
    const to = await backend(t);
    rig.connect(conn, to.port);
    await rig.next('connected');
    (await to.accept()).socket.resetAndDestroy();
    t.equal((await rig.closed(conn)).reason, 'backend_reset');
    t.match(await near.read().closed, RESET);
  });

  t.test('clients whose preread is awaited count towards maxConnections', async (t) => {
    const { rig, port } = await listening(t, { maxConnections: 1 });
    const near = await client(t, port);
    await until('it is held', () => rig.engine.size === 1);
    await client(t, port);
    t.match(await rig.next('refused'), { listener: LISTENER });
    near.socket.write('here');
    await rig.next('accepted');
    t.same(rig.events, []);
  });

  t.test('stopAccepting tells of every client that is held, and its preread is still read', async (t) => {
    const { rig, port } = await listening(t);
    const near = await client(t, port);
    const silent = await client(t, port);
    await until('both are held', () => rig.engine.size === 2);
    rig.engine.stopAccepting();
    const told = [await rig.next('accepted'), await rig.next('accepted')];
    t.same(
      told.map(({ preread }) => preread?.length),
      [0, 0],
    );
    for (const { conn } of told) rig.prereadMore(conn);
    near.socket.write('here');
    const { conn, preread, complete } = await rig.next('preread');
    t.same([Buffer.from(preread).toString(), complete], ['here', false]);
    silent.socket.resetAndDestroy();
    t.equal((await rig.next('closed')).reason, 'client_reset');
    const to = await backend(t);
    rig.connect(conn, to.port);
    const far = await to.accept();
    t.equal((await far.read().received(4)).toString(), 'here');
    rig.close(conn);
    await rig.closed(conn);
    t.equal(rig.engine.size, 0);
  });

  const skip = process.platform === 'linux' ? false : 'counts descriptors in /proc';
  t.test('no descriptor is left by any way to end', { skip }, async (t) => {
    const { rig, port } = await listening(t);
    const to = await backend(t);
    const round = async () => {
      for (const way of ['untold reset', 'reset', 'reject', 'close', 'serve'] as const) {
        const near = (await client(t, port)).read();
        if (way === 'untold reset') {
          near.socket.resetAndDestroy();
          await until('it is gone', () => rig.engine.size === 0);
          continue;
        }
        near.socket.write('preread');
        const { conn } = await rig.next('accepted');
        rig.prereadMore(conn);
        if (way === 'reset') near.socket.resetAndDestroy();
        else if (way === 'serve') {
          rig.connect(conn, to.port);
          const far = (await to.accept()).read();
          far.socket.end();
          near.socket.end();
          await far.closed;
        } else rig[way](conn, 'reset');
        await rig.closed(conn);
        near.socket.end();
        await near.closed;
      }
    };
    // The first round opens what stays open.
    await round();
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 10; i++) await round();
    t.equal(readdirSync('/proc/self/fd').length, before);
  });
}

import type { Test } from 'tap';
import { blackhole } from './data-plane-blackhole.ts';
import { servedAfterItsEnd } from './data-plane-dial.ts';
import { backend, client, type MakeEngine, Rig, refusingPort } from './data-plane-rig.ts';

/** A client that resets before it is connected: no backend is dialled for it any more, and it is told at once. */
export function goneClientsSuite(t: Test, make: MakeEngine): void {
  const accepted = async (t: Test, options?: Parameters<typeof Rig.start>[2]) => {
    const rig = await Rig.start(t, make, options);
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    return { rig, near, conn };
  };

  /** A backend, and how often it was dialled. */
  const counted = async (t: Test) => {
    const to = await backend(t);
    let dials = 0;
    void to.accept().then(() => dials++);
    return { port: to.port, dials: () => dials };
  };

  for (const sent of ['', 'a question that nobody reads']) {
    const when = sent === '' ? '' : ', after it sent something';

    t.test(`while its backend is picked${when}`, async (t) => {
      const { rig, near, conn } = await accepted(t);
      near.socket.write(sent);
      near.socket.resetAndDestroy();
      await near.closed;
      const to = await counted(t);
      rig.connect(conn, to.port);
      t.match(await rig.closed(conn), { reason: 'client_reset', bytesToBackend: 0 });
      t.same(rig.events, [], 'it was not connected');
      t.equal(to.dials(), 0, 'the backend does not hear of it');
    });

    t.test(`while a dial is under way${when}`, async (t) => {
      const { rig, near, conn } = await accepted(t);
      rig.connect(conn, await blackhole(t));
      near.socket.write(sent);
      near.socket.resetAndDestroy();
      t.match(await rig.closed(conn), { reason: 'client_reset', bytesToBackend: 0 });
      t.same(rig.events, [], 'and nothing of the dial');
      t.equal(rig.engine.size, 0);
    });

    t.test(`between two dials${when}`, async (t) => {
      const { rig, near, conn } = await accepted(t);
      rig.connect(conn, refusingPort(t));
      await rig.next('connectFailed');
      near.socket.write(sent);
      near.socket.resetAndDestroy();
      await near.closed;
      const to = await counted(t);
      rig.connect(conn, to.port);
      t.match(await rig.closed(conn), { reason: 'client_reset', bytesToBackend: 0 });
      t.same(rig.events, [], 'it was not connected');
      t.equal(to.dials(), 0, 'the backend does not hear of it');
    });
  }

  for (const sent of ['', 'a question that nobody reads']) {
    t.test(
      `while its backend is picked, and it is watched${sent === '' ? '' : ', after it sent something'}`,
      async (t) => {
        const { rig, near, conn } = await accepted(t);
        near.socket.write(sent);
        rig.watchHangUp(conn);
        rig.watchHangUp(conn);
        near.socket.resetAndDestroy();
        t.match(await rig.closed(conn), { reason: 'client_reset', bytesToBackend: 0 });
        t.equal(rig.engine.size, 0);
      },
    );
  }

  t.test('one that is watched, and only ends, is served', async (t) => {
    const { rig, near, conn } = await accepted(t);
    rig.watchHangUp(conn);
    near.socket.end('question');
    rig.settle();
    await rig.next('settled');
    t.same(rig.events, []);
    await servedAfterItsEnd(t, rig, conn, near);
  });

  t.test('after a dial that got no answer, before another is asked for', async (t) => {
    const { rig, near, conn } = await accepted(t, { connectTimeoutMs: 50 });
    rig.connect(conn, await blackhole(t));
    await rig.next('connectFailed');
    near.socket.resetAndDestroy();
    t.equal((await rig.closed(conn)).reason, 'client_reset');
  });

  t.test('one that only ends while it is dialled is served', async (t) => {
    // Long enough for an engine that looks once a second.
    const { rig, near, conn } = await accepted(t, { connectTimeoutMs: 2500 });
    rig.connect(conn, await blackhole(t));
    near.socket.end('question');
    t.match(await rig.next('connectFailed'), { conn, code: 'ETIMEDOUT' });
    await servedAfterItsEnd(t, rig, conn, near);
  });
}

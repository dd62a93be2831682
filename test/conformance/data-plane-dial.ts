import type { Test } from 'tap';
import type { Conn } from '../../src/application/ports/data-plane.ts';
import { tcpTable } from '../fixtures/tcp-table.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { stalled } from './data-plane-bytes.ts';
import { backend, client, type MakeEngine, type Peer, Rig, refusingPort } from './data-plane-rig.ts';

/** From `accepted` to `connected`, and every way not to get there. */
export function dialSuite(t: Test, make: MakeEngine): void {
  t.test('a refused dial leaves the client held, for another backend', async (t) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    rig.connect(conn, refusingPort(t));
    t.same(await rig.next('connectFailed'), { type: 'connectFailed', conn, code: 'ECONNREFUSED', here: false });
    t.equal(rig.engine.size, 1);

    const to = await backend(t);
    rig.connect(conn, to.port);
    const { rttMs } = await rig.next('connected');
    t.ok(rttMs >= 0);
    const far = await to.accept();
    near.socket.end('here');
    t.equal((await far.read().all()).toString(), 'here');
    far.socket.end('there');
    t.equal((await near.read().all()).toString(), 'there');
    const closed = await rig.closed(conn);
    t.match(closed, { reason: 'finished', bytesToBackend: 4, bytesToClient: 5 });
    t.ok(closed.durationMs >= rttMs, 'the connection lasted at least as long as its dial');
  });

  t.test('a backend behind many that did not answer at once is connected, and so is the next', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const refusing = refusingPort(t);
    const to = await backend(t);
    for (let round = 0; round < 2; round++) {
      const near = await client(t, port);
      const { conn } = await rig.next('accepted');
      for (let dials = 0; dials < 40; dials++) {
        rig.connect(conn, refusing);
        t.equal((await rig.next('connectFailed')).code, 'ECONNREFUSED');
      }
      rig.connect(conn, to.port);
      await rig.next('connected');
      const far = await to.accept();
      far.socket.write('greeting');
      near.socket.end('here');
      t.equal((await far.read().all()).toString(), 'here');
      far.socket.end();
      t.equal((await near.read().all()).toString(), 'greeting');
      t.equal((await rig.closed(conn)).reason, 'finished');
    }
  });

  t.test('an endpoint that is not one fails like a dial', async (t) => {
    const rig = await Rig.start(t, make);
    await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    for (const [host, port] of [
      ['localhost', 80],
      ['127.0.0.1', 0],
      ['127.0.0.1', 65_536],
    ] as const) {
      rig.connect(conn, port, host);
      t.match(await rig.next('connectFailed'), { conn, code: /^E/ }, `${host}:${port}`);
    }
  });

  t.test('an address that our own kernel does not dial is told as such, and the client is held', async (t) => {
    const rig = await Rig.start(t, make);
    await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    // Broadcast: there is no TCP to it, and nothing is sent.
    rig.connect(conn, 80, '255.255.255.255');
    t.match(await rig.next('connectFailed'), { conn, code: /^(ENETUNREACH|EACCES|EHOSTUNREACH)$/, here: true });
    const to = await backend(t);
    rig.connect(conn, to.port);
    await rig.next('connected');
  });

  t.test('a dial without an answer ends by the connect timer', async (t) => {
    const rig = await Rig.start(t, make, { connectTimeoutMs: 1000 });
    await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    rig.connect(conn, await blackhole(t));
    t.same(await rig.next('connectFailed'), { type: 'connectFailed', conn, code: 'ETIMEDOUT', here: false });
    const to = await backend(t);
    rig.connect(conn, to.port);
    await rig.next('connected');
  });

  t.test('reject: an end, or a reset, as the client sees it', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    for (const [how, code] of [
      ['close', ''],
      ['reset', 'ECONNRESET'],
    ] as const) {
      const near = (await client(t, port)).read();
      const { conn } = await rig.next('accepted');
      rig.reject(conn, how);
      if (how === 'close') await near.ended.then(() => near.socket.end());
      t.equal(await near.closed, code, how);
      t.match(await rig.closed(conn), { reason: 'rejected', bytesToBackend: 0, bytesToClient: 0 });
    }
  });

  t.test('reject after a failed dial, of a client that has sent something', async (t) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    near.read().socket.write('a question that nobody reads');
    const { conn } = await rig.next('accepted');
    rig.connect(conn, refusingPort(t));
    await rig.next('connectFailed');
    rig.reject(conn, 'close');
    await near.ended;
    t.equal((await rig.closed(conn)).reason, 'rejected');
  });

  const skip = process.platform === 'linux' ? false : 'looks for sockets in /proc';
  for (const size of [1, 1000, 1_000_000]) {
    t.test(`reject ends in order for a client of which ${size} bytes were not read`, { skip }, async (t) => {
      // Guards: the kernel resets a connection that is closed with bytes in its queue.
      const rig = await Rig.start(t, make);
      const port = await rig.listen();
      const near = await client(t, port);
      const { localPort } = near.socket;
      near.socket.write(Buffer.alloc(size));
      const { conn } = await rig.next('accepted');
      await stalled(near);
      rig.reject(conn, 'close');
      t.equal((await rig.closed(conn)).reason, 'rejected');
      const state = () => tcpTable().find((entry) => entry.localPort === localPort && entry.remotePort === port)?.state;
      t.equal(state(), 'close-wait', 'its socket has the end, and no reset');
      await near.read().ended;
    });
  }

  t.test('a client that only ended while it waited is served', async (t) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    near.socket.end('question');
    const { conn } = await rig.next('accepted');
    await servedAfterItsEnd(t, rig, conn, near);
  });

  t.test('close in every state before the connection', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const hole = await blackhole(t);
    const failing = refusingPort(t);
    const states: Record<string, (conn: number) => Promise<unknown>> = {
      waiting: async () => {},
      dialling: async (conn) => rig.connect(conn, hole),
      'after a failed dial': (conn) => {
        rig.connect(conn, failing);
        return rig.next('connectFailed');
      },
    };
    for (const [state, reach] of Object.entries(states)) {
      const near = (await client(t, port)).read();
      const { conn } = await rig.next('accepted');
      await reach(conn);
      rig.close(conn);
      t.match(await rig.closed(conn), { reason: 'drained' }, state);
      t.equal(await near.closed, 'ECONNRESET', `${state}: the client saw a reset`);
      // Too late, as answers can be.
      rig.close(conn);
      t.equal(rig.engine.size, 0);
    }
    const near = (await client(t, port)).read();
    const { conn } = await rig.next('accepted');
    rig.reject(conn, 'close');
    rig.close(conn);
    t.match(await rig.closed(conn), { reason: 'rejected' }, 'already on its way out');
    near.socket.end();
    await near.closed;
    rig.close(conn);
    rig.close(1_000_000);
  });

  t.test('a dial that was cut short leaves nothing that reports later', async (t) => {
    const rig = await Rig.start(t, make, { connectTimeoutMs: 50 });
    const port = await rig.listen();
    const hole = await blackhole(t);
    await client(t, port);
    await client(t, port);
    const one = await rig.next('accepted');
    const two = await rig.next('accepted');
    rig.connect(one.conn, hole);
    rig.connect(two.conn, hole);
    rig.close(one.conn);
    // The second dial started after the first, so its timer is the later one.
    t.match(await rig.next('connectFailed'), { conn: two.conn });
    t.match(await rig.next('closed'), { conn: one.conn, reason: 'drained' });
    t.same(rig.events, []);
  });
}

/** A client that asked `question`, and sent its end, gets its backend and its answer all the same. */
export async function servedAfterItsEnd(t: Test, rig: Rig, conn: Conn, near: Peer): Promise<void> {
  const to = await backend(t);
  rig.connect(conn, to.port);
  const far = await to.accept();
  t.equal((await far.read().all()).toString(), 'question');
  far.socket.end('answer');
  t.equal((await near.read().all()).toString(), 'answer');
  t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: 8, bytesToClient: 6 });
}

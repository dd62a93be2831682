import type { Test } from 'tap';
import { MAX_PREFIX_BYTES } from '../../src/application/ports/data-plane.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { backend, client, LISTENER, type MakeEngine, Rig, refusingPort } from './data-plane-rig.ts';

/** Bytes of ours that a backend gets before the client's. */
export function prefixSuite(t: Test, make: MakeEngine): void {
  const accepted = async (t: Test) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    return { rig, near, conn: (await rig.next('accepted')).conn };
  };

  for (const length of [1, 1000, MAX_PREFIX_BYTES]) {
    t.test(`${length} bytes, before what the client says, and not counted`, async (t) => {
      const { rig, near, conn } = await accepted(t);
      const to = await backend(t);
      const prefix = Buffer.alloc(length, 'prefix');
      near.socket.write('request ');
      rig.connect(conn, to.port, '127.0.0.1', { prefix });
      const far = (await to.accept()).read();
      await rig.next('connected');
      near.socket.end('and more');
      t.ok((await far.all()).equals(Buffer.concat([prefix, Buffer.from('request and more')])));
      far.socket.end('answer');
      t.equal((await near.read().all()).toString(), 'answer');
      t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: 16, bytesToClient: 6 });
    });
  }

  t.test('it is sent though the client says nothing', async (t) => {
    const { rig, near, conn } = await accepted(t);
    const to = await backend(t);
    rig.connect(conn, to.port, '127.0.0.1', { prefix: Buffer.from('who asks') });
    const far = (await to.accept()).read();
    t.equal((await far.received(8)).toString(), 'who asks');
    far.socket.end('nobody');
    t.equal((await near.read().all()).toString(), 'nobody');
    near.socket.end();
    t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: 0 });
  });

  t.test('it comes before the preread, of which some is left out', async (t) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen('127.0.0.1', LISTENER, { maxBytes: 100, timeoutMs: 60_000 }));
    near.socket.write('PROXY hello');
    const { conn } = await rig.next('accepted');
    const to = await backend(t);
    const prefix = Buffer.from('ours ');
    rig.connect(conn, refusingPort(t), '127.0.0.1', { prefix, skip: 1 });
    await rig.next('connectFailed');
    rig.connect(conn, to.port, '127.0.0.1', { prefix, skip: 6 });
    near.socket.end(' world');
    const far = (await to.accept()).read();
    t.equal((await far.all()).toString(), 'ours hello world');
    far.socket.end();
    t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: 11 });
  });

  t.test('that of a dial that failed is not sent to the next backend', async (t) => {
    const { rig, near, conn } = await accepted(t);
    const to = await backend(t);
    rig.connect(conn, refusingPort(t), '127.0.0.1', { prefix: Buffer.from('for nobody') });
    t.match(await rig.next('connectFailed'), { code: 'ECONNREFUSED' });
    rig.connect(conn, to.port);
    near.socket.end('request');
    const far = (await to.accept()).read();
    t.equal((await far.all()).toString(), 'request');
    far.socket.end();
    t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: 7 });
  });

  t.test('a connection that is closed while it dials keeps none', async (t) => {
    const { rig, conn } = await accepted(t);
    rig.connect(conn, await blackhole(t), '127.0.0.1', { prefix: Buffer.alloc(MAX_PREFIX_BYTES) });
    rig.close(conn);
    t.match(await rig.closed(conn), { reason: 'drained', bytesToBackend: 0 });
  });

  t.test('more than it may have fails, and nobody is dialled', async (t) => {
    const { rig, near, conn } = await accepted(t);
    const to = await backend(t);
    rig.connect(conn, to.port, '127.0.0.1', { prefix: Buffer.alloc(MAX_PREFIX_BYTES + 1) });
    t.match(await rig.next('connectFailed'), { code: 'EINVAL', here: true });
    rig.connect(conn, to.port);
    near.socket.end('request');
    const far = (await to.accept()).read();
    t.equal((await far.all()).toString(), 'request', 'the first that comes is of the second dial');
    far.socket.end();
    await rig.closed(conn);
  });
}

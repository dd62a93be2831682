import type { Test } from 'tap';
import type { CloseReason } from '../../src/application/ports/data-plane.ts';
import { backend, client, type MakeEngine, type Pair, Rig } from './data-plane-rig.ts';

/** What is told, to whom and when, of connections whose backend others may be waiting for. */
export function contendedSuite(t: Test, make: MakeEngine): void {
  /** `order` grows by what the peers see, and by `closed`. */
  const contended = async (t: Test): Promise<{ rig: Rig; link: Pair; order: string[] }> => {
    const order: string[] = [];
    const rig = await Rig.start(t, make, {}, (event) => {
      if (event.type === 'closed') order.push('closed');
    });
    const port = await rig.listen();
    const to = await backend(t);
    const near = await client(t, port);
    const { conn } = await rig.next('accepted');
    rig.connect(conn, to.port, '127.0.0.1', { contended: true });
    await rig.next('connected');
    const far = await to.accept();
    near.socket.once('close', () => order.push('client'));
    far.socket.once('close', () => order.push('backend'));
    return { rig, link: { conn, client: near, backend: far }, order };
  };

  const ends: readonly (readonly [string, CloseReason, (rig: Rig, link: Pair) => Promise<unknown>])[] = [
    [
      'both ended',
      'finished',
      async (_rig, { client, backend }) => {
        client.read().socket.end('request');
        await backend.read().ended;
        backend.socket.end('answer');
      },
    ],
    [
      'the backend reset',
      'backend_reset',
      async (_rig, { client, backend }) => {
        client.read();
        backend.socket.resetAndDestroy();
      },
    ],
    [
      'it was closed',
      'drained',
      async (rig, { conn, client, backend }) => {
        client.read();
        backend.read();
        rig.close(conn);
      },
    ],
  ];
  for (const [what, reason, end] of ends) {
    t.test(`${what}: closed is told before the client learns of it`, async (t) => {
      const { rig, link, order } = await contended(t);
      await end(rig, link);
      await Promise.all([link.client.closed, link.backend.closed]);
      t.equal((await rig.closed(link.conn)).reason, reason);
      t.ok(order.indexOf('closed') < order.indexOf('client'), order.join(', '));
      t.equal(rig.engine.size, 0);
    });
  }

  t.test('all bytes are there, and counted', async (t) => {
    const { rig, link } = await contended(t);
    const request = Buffer.alloc(300_000, 'up');
    const answer = Buffer.alloc(2_000_000, 'down');
    link.client.read().socket.end(request);
    t.ok((await link.backend.read().all()).equals(request));
    link.backend.socket.end(answer);
    t.ok((await link.client.all()).equals(answer));
    t.equal(await link.client.closed, '');
    t.match(await rig.closed(link.conn), { bytesToBackend: request.length, bytesToClient: answer.length });
  });

  t.test('a dial that fails leaves nothing of it', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen();
    const near = await client(t, port);
    const { conn } = await rig.next('accepted');
    rig.connect(conn, 1, 'nowhere', { contended: true });
    await rig.next('connectFailed');
    near.read();
    rig.reject(conn, 'close');
    await near.ended;
    near.socket.end();
    t.equal((await rig.closed(conn)).reason, 'rejected');
  });

  t.test('settled comes behind what peers did before it was asked for', async (t) => {
    const { rig, link } = await contended(t);
    link.client.read();
    link.backend.read().socket.end('answer');
    await link.client.ended;
    // What it sends is with the kernel, and the engine has had no turn to read it.
    await new Promise<void>((resolve) => link.client.socket.end(resolve));
    rig.settle();
    await rig.next('settled');
    t.ok(
      rig.events.some((event) => event.type === 'closed'),
      'closed came first',
    );
    await rig.closed(link.conn);
  });

  t.test('an engine without connections settles', async (t) => {
    const rig = await Rig.start(t, make);
    rig.settle();
    rig.settle();
    await rig.next('settled');
    await rig.next('settled');
    t.same(rig.events, []);
  });
}

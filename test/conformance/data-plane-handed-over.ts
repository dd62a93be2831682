import { once } from 'node:events';
import net from 'node:net';
import type { Test } from 'tap';
import { type Backend, backend, client, type Handle, type MakeEngine, type Peer, Rig } from './data-plane-rig.ts';

/** A connection to a backend that is open already, as a pool holds it, and its far end. */
async function held(to: Backend): Promise<{ socket: Handle; far: Peer }> {
  const near = net.connect({ host: '127.0.0.1', port: to.port });
  // It is not to be read here.
  near.pause();
  await once(near, 'connect');
  const owner = near as unknown as { _handle: Handle | null };
  const socket = owner._handle!;
  owner._handle = null;
  return { socket, far: await to.accept() };
}

/** Backends that are connected before their client comes. */
export function handedOverSuite(t: Test, make: MakeEngine): void {
  const start = async (t: Test) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    const to = await backend(t);
    return { rig, near, conn, to, ...(await held(to)) };
  };

  for (const prefix of [undefined, Buffer.from('ours ')]) {
    t.test(`bytes flow both ways${prefix === undefined ? '' : ', behind ours'}`, async (t) => {
      const { rig, near, conn, socket, far } = await start(t);
      near.socket.write('request ');
      rig.dial(conn, { socket, prefix });
      t.match(await rig.next('connected'), { conn, rttMs: 0 });
      near.socket.end('and more');
      t.equal((await far.read().all()).toString(), `${prefix ?? ''}request and more`);
      const answer = Buffer.alloc(3_000_000, 'answer');
      far.socket.end(answer);
      t.ok((await near.read().all()).equals(answer));
      t.match(await rig.closed(conn), {
        reason: 'finished',
        bytesToBackend: 16,
        bytesToClient: answer.length,
      });
    });
  }

  t.test('what the backend said before comes to the client', async (t) => {
    const { rig, near, conn, socket, far } = await start(t);
    far.socket.end('greeting');
    rig.dial(conn, { socket });
    t.equal((await near.read().all()).toString(), 'greeting');
    near.socket.end();
    t.match(await rig.closed(conn), { reason: 'finished', bytesToClient: 8 });
  });

  t.test('one that was reset fails, and another may follow', async (t) => {
    const { rig, near, conn, to, socket, far } = await start(t);
    far.socket.resetAndDestroy();
    await far.closed;
    rig.dial(conn, { socket });
    t.match(await rig.next('connectFailed'), { conn, code: 'ENOTCONN', here: false });
    const next = await held(to);
    rig.dial(conn, { socket: next.socket });
    await rig.next('connected');
    near.socket.end('request');
    t.equal((await next.far.read().all()).toString(), 'request');
    next.far.socket.end();
    t.equal((await rig.closed(conn)).reason, 'finished');
  });

  t.test('its reset is passed on', async (t) => {
    const { rig, near, conn, socket, far } = await start(t);
    rig.dial(conn, { socket });
    await rig.next('connected');
    near.read();
    far.socket.resetAndDestroy();
    t.equal(await near.closed, 'ECONNRESET');
    t.equal((await rig.closed(conn)).reason, 'backend_reset');
  });

  t.test('it is closed when it is not used: the client is gone', async (t) => {
    const { rig, near, conn, socket, far } = await start(t);
    near.socket.resetAndDestroy();
    await near.closed;
    rig.dial(conn, { socket });
    t.equal((await rig.closed(conn)).reason, 'client_reset');
    await far.read().ended;
  });

  t.test('it is closed when it is not used: the connection is over', async (t) => {
    const { rig, conn, socket, far } = await start(t);
    rig.close(conn);
    await rig.closed(conn);
    rig.dial(conn, { socket });
    await far.read().ended;
    t.same(rig.events, []);
  });

  t.test('it is closed when it is not used: there is nothing to skip', async (t) => {
    const { rig, conn, socket, far } = await start(t);
    rig.dial(conn, { socket, skip: 1 });
    t.match(await rig.next('connectFailed'), { code: 'EINVAL', here: true });
    await far.read().ended;
  });
}

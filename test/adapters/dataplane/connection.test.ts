import { once } from 'node:events';
import net from 'node:net';
import t, { type Test } from 'tap';
import { Connection } from '../../../src/adapters/dataplane/stream/connection.ts';
import type { ConnectionOwner } from '../../../src/adapters/dataplane/stream/connection-owner.ts';
import { ReadBuffers } from '../../../src/adapters/dataplane/stream/read-buffers.ts';
import { Side } from '../../../src/adapters/dataplane/stream/side.ts';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';

// The once-a-second check of one connection with real sockets, where the test says what time it is.

const IDLE = 10_000;
const HALF_CLOSED = 4_000;

class CountedBuffers extends ReadBuffers {
  lent = 0;

  override acquire(): Buffer {
    this.lent++;
    return super.acquire();
  }

  override release(buffer: Buffer): void {
    this.lent--;
    super.release(buffer);
  }
}

interface Subject {
  readonly connection: Connection;
  readonly client: net.Socket;
  readonly backend: net.Socket;
  readonly buffers: CountedBuffers;
  readonly reasons: string[];
  readonly closed: Promise<void>;
}

/** Whole milliseconds, so that differences are exact. */
const wholeNow = () => Math.ceil(performance.now());

async function subject(t: Test): Promise<Subject> {
  const front = net.createServer(Side.SERVER_OPTIONS);
  const back = net.createServer({ allowHalfOpen: true });
  const sockets: net.Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    front.close();
    back.close();
  });
  front.listen(0, '127.0.0.1');
  back.listen(0, '127.0.0.1');
  await Promise.all([once(front, 'listening'), once(back, 'listening')]);
  const port = (server: net.Server) => (server.address() as net.AddressInfo).port;

  const client = net.connect({ port: port(front), host: '127.0.0.1', allowHalfOpen: true });
  const [accepted]: net.Socket[] = await once(front, 'connection');
  if (accepted === undefined) throw new Error('nothing was accepted');
  const buffers = new CountedBuffers();
  const reasons: string[] = [];
  const events: DataPlaneEvent[] = [];
  let ended = () => {};
  const closed = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const owner: ConnectionOwner = {
    options: {
      connectTimeoutMs: 60_000,
      idleTimeoutMs: IDLE,
      halfCloseTimeoutMs: HALF_CLOSED,
      unackedTimeoutMs: 0,
      maxConnections: 1,
      onEvents: () => {},
    },
    buffers,
    deadlines: { add: () => {}, remove: () => {} },
    lookAtWire: undefined,
    events: {
      push: (event) => {
        events.push(event);
        if (event.type === 'closed') reasons.push(event.reason);
      },
      pushFirst: () => {},
      holds: () => false,
      withdraw: () => {},
    },
    ended: () => ended(),
  };
  const connection = new Connection(1, owner, accepted);
  const arrived = once(back, 'connection');
  connection.connect({ to: { host: '127.0.0.1', port: port(back) } });
  const [backend]: net.Socket[] = await arrived;
  if (backend === undefined) throw new Error('nothing was dialled');
  sockets.push(client, backend);
  for (const socket of sockets) socket.on('error', () => {});
  // A byte that has come through tells that the connection is open.
  client.write('1');
  await once(backend, 'data');
  client.resume();
  return { connection, client, backend, buffers, reasons, closed };
}

t.test('silence is counted from the last byte, not from the connection', async (t) => {
  const { connection, backend, client, reasons, closed } = await subject(t);
  const start = wholeNow();
  connection.check(start + 9_000, false);
  connection.check(start + 18_000, false);
  t.same(reasons, []);
  backend.write('2');
  await once(client, 'data');
  connection.check(start + 27_000, false);
  connection.check(start + 27_000 + IDLE - 1, false);
  connection.check(start + 27_000 + IDLE, false);
  await closed;
  t.same(reasons, ['idle_timeout']);
});

t.test('not before its time', async (t) => {
  const { connection, client, closed, reasons } = await subject(t);
  const start = wholeNow();
  connection.check(start, false);
  connection.check(start + IDLE - 1, false);
  const still = await new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(!client.readableEnded))));
  t.ok(still);
  connection.check(start + IDLE, false);
  await closed;
  t.same(reasons, ['idle_timeout']);
});

t.test('after an end the shorter time counts, from the last byte of the other side', async (t) => {
  const { connection, client, backend, closed, reasons } = await subject(t);
  const start = wholeNow();
  connection.check(start, false);
  client.end();
  backend.resume();
  await once(backend, 'end');
  backend.write('late');
  await once(client, 'data');
  connection.check(start + 60_000, false);
  connection.check(start + 60_000 + HALF_CLOSED - 1, false);
  backend.write('later');
  await once(client, 'data');
  connection.check(start + 90_000, false);
  connection.check(start + 90_000 + HALF_CLOSED, false);
  await closed;
  t.same(reasons, ['half_close_timeout']);
});

t.test('the end itself starts the half-close time', async (t) => {
  const { connection, client, backend, closed, reasons } = await subject(t);
  const start = wholeNow();
  connection.check(start, false);
  backend.end();
  await once(client, 'end');
  connection.check(start + HALF_CLOSED - 1, false);
  client.write('not over');
  await once(backend, 'data');
  connection.check(start + HALF_CLOSED, false);
  connection.check(start + 2 * HALF_CLOSED, false);
  await closed;
  t.same(reasons, ['half_close_timeout']);
});

t.test('a connection that falls silent after bulk gives its buffer back, and relays on', async (t) => {
  const { connection, client, backend, buffers, closed } = await subject(t);
  let length = 0;
  let expected = 0;
  client.on('data', (data) => {
    length += data.length;
  });
  const arrived = async () => {
    while (length < expected) await once(client, 'data');
  };
  // Most often the first burst does: one read takes it, and no smaller one follows.
  for (let burst = 0; burst < 100 && buffers.lent === 0; burst++) {
    expected += 64 * 1024;
    backend.write(Buffer.alloc(64 * 1024));
    await arrived();
  }
  t.equal(buffers.lent, 1);
  connection.check(performance.now(), false);
  t.equal(buffers.lent, 1, 'it has just been used');
  connection.check(performance.now(), false);
  t.equal(buffers.lent, 0);

  let text = '';
  client.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  backend.write('after it');
  await once(client, 'data');
  t.equal(text, 'after it');

  backend.write(Buffer.alloc(5_000_000));
  backend.end();
  client.end();
  await closed;
  t.equal(buffers.lent, 0, 'none is kept by a connection that is over');
});

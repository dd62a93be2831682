import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { until } from '../../../fixtures/until.ts';
import { openAdmin } from './rig.ts';

/** Turns of the loop without progress after which an answer stands still. */
const STILL_TURNS = 100;

const SHORT = { headMs: 200, bodyMs: 200, idleMs: 200, answerMs: 300, lingerMs: 100, drainMs: 300 };
/** For what must not come to its end while a test runs. */
const LONG = { headMs: 600_000, bodyMs: 600_000, idleMs: 600_000, answerMs: 600_000, lingerMs: 600_000 };
const TOKEN = 'a-token-of-some-length';

type Where = Awaited<ReturnType<typeof openAdmin>>['where'];

/** A peer that keeps its half of the connection open, whatever the server does with the other, and reads nothing. */
async function connect(t: Test, where: Where, localAddress?: string): Promise<net.Socket> {
  const to = 'socketPath' in where ? { path: where.socketPath } : where;
  const from = localAddress === undefined ? {} : { localAddress };
  const socket = net.connect({ ...to, ...from, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** What the server sends on a connection from now on, until it ends its side. */
async function read(socket: net.Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  return text;
}

/** Sends a byte now and then, for ever. */
function trickle(t: Test, socket: net.Socket): void {
  const timer = setInterval(() => socket.write('x'), 20);
  t.teardown(() => clearInterval(timer));
  socket.once('close', () => clearInterval(timer));
}

function* endless(): Generator<string> {
  for (;;) yield 'x'.repeat(32 << 10);
}

const request = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n`;

/** Each does what it does and then nothing more; none closes. */
const PEERS: Readonly<Record<string, (socket: net.Socket, t: Test) => void>> = {
  'says nothing': () => {},
  'ends its side before it said anything': (socket) => socket.end(),
  'sends what is no HTTP': (socket) => socket.write('nonsense\r\n\r\n'),
  'sends headers without end': (socket) => socket.write(`GET / HTTP/1.1\r\nx: ${'x'.repeat(40_000)}`),
  'sends its head a byte at a time': (socket, t) => trickle(t, socket.setNoDelay()),
  'sends its body a byte at a time': (socket, t) => {
    const head = 'content-type: application/json\r\ncontent-length: 10000';
    socket.write(`POST /api/v1/workers/scale HTTP/1.1\r\nhost: 127.0.0.1\r\n${head}\r\n\r\n`);
    trickle(t, socket);
  },
  'is answered, and keeps the connection': (socket) => socket.write(request('/healthz')),
  'is answered, and asks again a byte at a time': (socket, t) => {
    socket.write(request('/healthz'));
    socket.once('data', () => trickle(t, socket));
  },
  'is answered, and keeps its side when ours is ended': (socket) =>
    socket.write(request('/healthz', 'connection: close\r\n')),
  'is turned away': (socket) => socket.write(request('/healthz', 'origin: http://evil.example\r\n')),
  'does not read its answer': (socket) => {
    socket.pause();
    socket.write(request('/metrics'));
  },
  'does not read its answer, and has ended its side': (socket) => {
    socket.pause();
    socket.end(request('/metrics'));
  },
  'goes away in the middle of an answer': (socket) => {
    socket.write(request('/metrics'));
    socket.once('data', () => socket.destroy());
  },
};

/** Descriptors of this process, in which both sides of each connection are. */
const descriptors = () => readdirSync('/proc/self/fd').length;

for (const kind of ['tcp', 'unix'] as const) {
  t.test(`every stage ends in a closed descriptor: ${kind}`, { skip: noDescriptors() }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'admin-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const given = kind === 'unix' ? { address: { kind, path: join(folder, 'admin.sock') } } : {};
    const { server, where, ask } = await openAdmin(t, { ...given, deadlines: SHORT, metrics: endless });
    for (const [what, act] of Object.entries(PEERS)) {
      const before = descriptors();
      const socket = await connect(t, where);
      await until('it is accepted', () => server.connections === 1);
      // Reads, unless the peer is one that does not: an unread answer would keep the kernel from telling of the end.
      socket.resume();
      act(socket, t);
      await until(`the connection of one who ${what} is gone`, () => server.connections === 0);
      await until('and so is its descriptor', () => descriptors() <= before + (socket.destroyed ? 0 : 1));
      t.pass(what);
      socket.destroy();
      await until('ours is gone, too', () => descriptors() === before);
    }
    t.equal((await ask('/healthz')).status, 200);
  });
}

t.test('whoever is late is told so', async (t) => {
  const { where } = await openAdmin(t, { deadlines: SHORT });
  const socket = await connect(t, where);
  socket.write('GET / HTTP/1.1\r\n');
  t.match(await read(socket), /^HTTP\/1\.1 408 [\s\S]*"EDGE_ERR_USAGE"/);
});

t.test('when all places are taken, the newcomer gets that of who has been silent longest', async (t) => {
  const { server, where, ask } = await openAdmin(t, { deadlines: LONG, places: { all: 8, local: 2 } });
  const silent: net.Socket[] = [];
  for (let i = 0; i < 100; i++) silent.push(await connect(t, where));
  for (let i = 0; i < 20; i++) t.equal((await ask('/healthz')).status, 200);
  t.ok(server.connections <= 8);
  const ended = () => silent.filter((socket) => socket.readableEnded || socket.destroyed).length;
  for (const socket of silent) socket.resume();
  await until('the others are closed', () => ended() >= 92);
  const last = silent.at(-1)!;
  t.notOk(silent[0]!.readable, 'the first one went first');
  last.destroy();
});

t.test('one whose request was let through keeps its place while silent ones come and go', async (t) => {
  const { where } = await openAdmin(t, { token: TOKEN, deadlines: LONG, places: { all: 8, local: 2 } });
  const asker = await connect(t, where);
  const ask = async () => {
    asker.write(request('/healthz', `authorization: Bearer ${TOKEN}\r\n`));
    return String((await once(asker, 'data'))[0]);
  };
  t.match(await ask(), /^HTTP\/1\.1 200 /);
  for (let i = 0; i < 50; i++) {
    const other = await connect(t, where);
    if (i % 2 === 0) continue;
    other.write(request('/healthz'));
    t.match(String((await once(other, 'data'))[0]), /^HTTP\/1\.1 401 /);
  }
  t.match(await ask(), /^HTTP\/1\.1 200 /);
});

t.test('one who reads what is open to all has proved nothing', async (t) => {
  const { server, where } = await openAdmin(t, {
    token: TOKEN,
    open: ['/healthz'],
    deadlines: LONG,
    places: { all: 4, local: 2 },
  });
  const proven = await connect(t, where);
  proven.write(request('/healthz', `authorization: Bearer ${TOKEN}\r\n`));
  await once(proven, 'data');
  for (let i = 0; i < 10; i++) {
    const open = await connect(t, where);
    open.write(request('/healthz'));
    t.match(String((await once(open, 'data'))[0]), /^HTTP\/1\.1 200 /);
  }
  t.ok(server.connections <= 4);
  t.ok(proven.readable);
});

t.test('peers of other hosts do not take the last places', async (t) => {
  const FAR = '127.0.0.9';
  const isLocal = ({ remoteAddress }: net.Socket) => remoteAddress !== FAR;
  const { server, where } = await openAdmin(t, { deadlines: LONG, places: { all: 8, local: 3, isLocal } });
  const near: net.Socket[] = [];
  for (let i = 0; i < 3; i++) near.push(await connect(t, where));
  for (const socket of near) socket.resume();
  for (let i = 0; i < 50; i++) (await connect(t, where, FAR)).resume();
  await until('the places are taken', () => server.connections === 8);
  t.ok(
    near.every((socket) => socket.readable),
    'those of this host are there, silent as they are',
  );
});

t.test('an answer is made no faster than it is taken, and for requests that come together not at all', async (t) => {
  let made = 0;
  function* counted(): Generator<string> {
    for (const chunk of endless()) {
      made += chunk.length;
      yield chunk;
    }
  }
  const { server, where } = await openAdmin(t, { deadlines: LONG, metrics: counted });
  const socket = await connect(t, where);
  socket.pause();
  socket.write(request('/metrics'));
  await until('something is made', () => made > 0);
  // Both ends are in this loop, and the kernel between them takes no time: what goes on goes on within some turns.
  for (let still = 0, last = -1; still < STILL_TURNS; still = made === last ? still + 1 : 0) {
    last = made;
    await nextTurn();
  }
  // The kernel's buffers of both sides, at their largest.
  t.ok(made < 32 << 20, `${made} bytes`);
  socket.write(request('/metrics').repeat(1000));
  await until('the connection is closed', () => server.connections === 0);
});

t.test('a close waits for answers, for so long; not for those who wait for nothing', async (t) => {
  let letGo = () => {};
  const looked = { version: 1, changed: false, backends: 0, skipped: 0, path: '/x' };
  const look = () =>
    new Promise<typeof looked>((resolve) => {
      letGo = () => resolve(looked);
    });
  const { server, where } = await openAdmin(t, {
    deadlines: { ...LONG, drainMs: 600_000, lingerMs: 100 },
    actions: { look },
  });
  const silent = await connect(t, where);
  const asking = await connect(t, where);
  asking.write('POST /api/v1/routing/look HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
  const answer = read(asking);
  await until('it is being looked', () => String(letGo).includes('resolve'));
  const closed = server.close();
  await read(silent);
  letGo();
  t.match(await answer, /^HTTP\/1\.1 200 [\s\S]*"version":1/);
  await closed;
});

t.test('a close does not wait for one who does not take the answer', async (t) => {
  const { server, where } = await openAdmin(t, { deadlines: { ...LONG, drainMs: 100 }, metrics: endless });
  const socket = await connect(t, where);
  socket.pause();
  socket.write(request('/metrics'));
  await until('it is answered', () => socket.readableLength > 0 || server.connections === 1);
  await server.close();
  t.equal(server.connections, 0);
});

function noDescriptors(): string | false {
  return process.platform === 'linux' ? false : 'descriptors are counted in /proc';
}

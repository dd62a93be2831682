import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { BUILD, type Engine, onEachEngine } from '../../fixtures/engines.ts';
import { until } from '../../fixtures/until.ts';
import type { Usage } from './relay-process.ts';

/** Under the sanitizers, which run alone, more than beside all other tests. */
const TOTAL = BUILD === 'Debug' ? 100_000 : 20_000;
/** At once; below what the engine's process holds. */
const AT_ONCE = 64;
/** Pools and heaps have their size by then. */
const WARM = 8_000;
const MIB = 1024 * 1024;
/** Most that the engine's process may grow by after that: heaps breathe, and the sanitizer keeps what was freed. */
const MAX_GROWTH = (BUILD === 'Debug' ? 128 : 64) * MIB;
/** Most that its objects may grow by: a hundred bytes of a connection. */
const MAX_OBJECTS = (TOTAL - WARM) * 100;

const RESET_ME = 0x72;
const STALL_ME = 0x73;
/** More than the kernel's buffers take on the way to a backend that does not read. */
const STALLING = Buffer.alloc(16 * MIB, STALL_ME);
/** One in so many connections is reset while the engine keeps bytes of it. */
const STALLED_SHARE = 500;

const skip = process.platform !== 'linux' && 'counts descriptors in /proc';

onEachEngine(
  t,
  'no descriptor and no memory is left after tens of thousands of connections of every way to end',
  leaks,
  skip,
);

async function leaks(t: Test, engine: Engine): Promise<void> {
  const file = fileURLToPath(new URL('./relay-process.ts', import.meta.url));
  const relay = fork(file, [String(await startBackend(t)), engine], { execArgv: ['--expose-gc'] });
  t.teardown(() => relay.kill('SIGKILL'));
  const [{ port }] = (await once(relay, 'message')) as [{ port: number }];
  const before = await usage(relay);
  let connected = await run(port, 0, WARM);
  const warm = await usage(relay);
  connected += await run(port, WARM, TOTAL);
  t.equal(connected, TOTAL, 'all of them were connections');

  let after = await usage(relay);
  // The engine's last connections end after their clients saw it.
  const over = async () => {
    after = await usage(relay);
    return after.closed === after.accepted && after.descriptors <= before.descriptors;
  };
  await until('every connection to be over', over, () => JSON.stringify({ before, after }));
  t.equal(after.descriptors, before.descriptors, 'as many descriptors as before');
  const growth = after.rss - warm.rss;
  t.ok(growth < MAX_GROWTH, `${Math.round(growth / MIB)} MiB more after ${TOTAL} than after ${WARM}`);
  const objects = after.heap - warm.heap;
  t.ok(objects < MAX_OBJECTS, `${Math.round(objects / 1024)} KiB more of objects`);
  // By itself, so that a sanitizer tells of what was not freed.
  relay.disconnect();
  t.same(await once(relay, 'exit'), [0, null]);
}

/** Echoes, unless the first byte asks for something else; its port. */
async function startBackend(t: Test): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      if (data[0] === RESET_ME) socket.resetAndDestroy();
      else if (data[0] === STALL_ME) socket.pause();
      else socket.write(data);
    });
    socket.on('end', () => socket.end());
  });
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** How many of the visits with those numbers got a connection. */
async function run(port: number, from: number, to: number): Promise<number> {
  let next = from;
  let connected = 0;
  const one = async () => {
    while (next < to) if (await visit(port, next++)) connected++;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return connected;
}

/**
 * One connection: an exchange and an orderly end, a reset by either side, or a client that leaves without a word. Whether
 * there was one.
 */
function visit(port: number, number: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    let connected = false;
    socket.on('connect', () => {
      connected = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(connected));
    const way = number % 8;
    if (number % STALLED_SHARE === 0) socket.on('connect', () => void stall(socket));
    else if (way === 1) socket.write(Buffer.of(RESET_ME));
    else if (way === 2) socket.on('connect', () => socket.resetAndDestroy());
    else if (way === 3) socket.on('connect', () => socket.destroy());
    else if (way === 4) socket.write(Buffer.alloc(200_000, 'a'), () => socket.resetAndDestroy());
    else socket.write('hello');
    socket.on('data', () => socket.end());
  });
}

/** Writes until nothing more goes, and resets. */
async function stall(socket: net.Socket): Promise<void> {
  socket.write(STALLING);
  const { _handle: handle } = socket as unknown as { _handle: { writeQueueSize: number } };
  for (let before = -1, still = 0; still < 10; still++) {
    await nextTurn();
    if (handle.writeQueueSize !== before) still = 0;
    before = handle.writeQueueSize;
  }
  socket.resetAndDestroy();
}

async function usage(child: ChildProcess): Promise<Usage> {
  child.send('usage');
  const [answer] = (await once(child, 'message')) as [Usage];
  return answer;
}

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * 100,000 connections, of every way to end, through an engine in a process of its own. Ends with 1 when that process has
 * not its descriptors back afterwards, or has grown by more than its heap's breathing. For `npm run test:native-sanitize`.
 */
const TOTAL = 100_000;
/** At once; below what the engine's process holds. */
const AT_ONCE = 64;
/** Pools and heaps have their size by then. */
const WARM = 20_000;
const MIB = 1024 * 1024;
/** The sanitizer keeps what was freed for a while. */
const sanitized = process.env.EDGEPROXY_TEST_ADDON === 'Debug';
const MAX_GROWTH = (sanitized ? 128 : 16) * MIB;

interface Usage {
  readonly rss: number;
  readonly descriptors: number;
}

const RESET_ME = 0x72;
const STALL_ME = 0x73;
/** More than the kernel's buffers take on the way to a backend that does not read. */
const STALLING = Buffer.alloc(16 * MIB, STALL_ME);
/** One in so many connections is reset while the engine keeps bytes of it. */
const STALLED_SHARE = 500;

const backend = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('data', (data) => {
    if (data[0] === RESET_ME) socket.resetAndDestroy();
    else if (data[0] === STALL_ME) socket.pause();
    else socket.write(data);
  });
  socket.on('end', () => socket.end());
});
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
const backendPort = String((backend.address() as net.AddressInfo).port);

const relay = fork(fileURLToPath(new URL('../relay-process.ts', import.meta.url)), [backendPort, 'epoll'], {
  execArgv: [],
});
const [{ port }] = (await once(relay, 'message')) as [{ port: number }];

const before = await usage(relay);
const [, warm] = [await run(0, WARM), await usage(relay)];
await run(WARM, TOTAL);
const after = await settled(relay, before.descriptors);
relay.disconnect();
const [code] = await once(relay, 'exit');
backend.close();

const growth = Math.round((after.rss - warm.rss) / MIB);
console.log(
  `${TOTAL} connections: ${after.descriptors} descriptors (${before.descriptors} before), ${growth} MiB more`,
);
if (code !== 0 || after.descriptors !== before.descriptors || after.rss - warm.rss > MAX_GROWTH) process.exitCode = 1;

async function run(from: number, to: number): Promise<void> {
  let next = from;
  const one = async () => {
    while (next < to) await visit(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** One connection: an exchange and an orderly end, a reset by either side, or a client that leaves without a word. */
function visit(number: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
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

/** The engine's last connections end after their clients saw it: asks until they have. */
async function settled(child: ChildProcess, descriptors: number): Promise<Usage> {
  let now = await usage(child);
  for (let i = 0; i < 10_000 && now.descriptors > descriptors; i++) now = await usage(child);
  return now;
}

async function usage(child: ChildProcess): Promise<Usage> {
  child.send('usage');
  const [answer] = (await once(child, 'message')) as [Usage];
  return answer;
}

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import t, { type Test } from 'tap';
import { type Engine, onEachEngine } from '../../fixtures/engines.ts';
import type { Usage } from './relay-process.ts';

const MIB = 1024 * 1024;
const TOTAL = 1024 * MIB;

/** After so many bytes the reader stops until the writer stands still. */
const STOP_EVERY = 256 * MIB;

/** Turns of the engine's loop without progress after which the writer stands still. */
const STALLED_TURNS = 20;

/** Most that the engine's process may grow by. Its buffers are below 1 MiB here; the rest is its heap. */
const GROWTH = 64 * MIB;

onEachEngine(t, 'a GiB to a reader that stops again and again does not pass through memory', relayGiB);

async function relayGiB(t: Test, engine: Engine): Promise<void> {
  // Guards: the engine reads no more than the other side took, whatever the writer offers.
  const reader = await listen(t);
  const relay = await startRelay(t, reader.port, engine);
  const before = await ask(relay.child);

  const writer = net.connect({ host: '127.0.0.1', port: relay.port });
  writer.on('error', (error) => t.fail(error.message));
  t.teardown(() => writer.destroy());
  let sent = 0;
  const block = Buffer.alloc(MIB);
  const write = async () => {
    for (let at = 0; at < TOTAL; at += MIB) {
      // Every block differs from the others, so that none can take another's place.
      const copy = Buffer.from(block);
      copy.writeUInt32LE(at / MIB, (at / 256) % (MIB - 4));
      sent = crc32(copy, sent);
      if (!writer.write(copy)) await once(writer, 'drain');
    }
    writer.end();
  };
  const written = write();

  const socket = await reader.accepted;
  let got = 0;
  let length = 0;
  let nextStop = 0;
  for await (const chunk of socket) {
    got = crc32(chunk, got);
    length += chunk.length;
    if (length < nextStop) continue;
    nextStop += STOP_EVERY;
    await stalled(writer, relay.child);
  }
  await written;
  t.equal(length, TOTAL);
  t.equal(got, sent);
  const after = await ask(relay.child);
  const growth = after.peak - before.rss;
  t.ok(growth < GROWTH, `the engine's process grew by ${Math.round(growth / MIB)} MiB at most`);
}

/** Resolves when the engine, asked again and again, takes no more from the writer. */
async function stalled(writer: net.Socket, engine: ChildProcess): Promise<void> {
  let before = -1;
  for (let still = 0; still < STALLED_TURNS; still++) {
    await ask(engine);
    // A write that the kernel took in part shows only in Node's handle; there is none when all was sent.
    const handle = (writer as unknown as { _handle: { writeQueueSize: number } | null })._handle;
    const now = writer.writableLength + (handle?.writeQueueSize ?? 0);
    if (now === before) continue;
    before = now;
    still = 0;
  }
}

async function startRelay(
  t: Test,
  backendPort: number,
  engine: Engine,
): Promise<{ child: ChildProcess; port: number }> {
  const file = fileURLToPath(new URL('./relay-process.ts', import.meta.url));
  const child = fork(file, [String(backendPort), engine], { execArgv: [] });
  t.teardown(() => child.kill('SIGKILL'));
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

async function ask(child: ChildProcess): Promise<Usage> {
  child.send('usage');
  const [usage] = (await once(child, 'message')) as [Usage];
  return usage;
}

async function listen(t: Test): Promise<{ port: number; accepted: Promise<net.Socket> }> {
  const server = net.createServer({ pauseOnConnect: true });
  t.teardown(() => server.close());
  const accepted = once(server, 'connection').then(([socket]) => socket as net.Socket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as net.AddressInfo).port, accepted };
}

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const FLOWS = 3;
const STREAMS = 8;
const VISITS = 80;
/** Far beyond what a visit takes beside the flows, and far below what they take in all on a loaded machine. */
const LONGEST_MS = 5000;
const BLOCK = randomBytes(256 << 10);

/** Sends blocks that differ, and reads them again, until told to end: bytes each way, and whether they are the same. */
async function flow(port: number, from: string, going: () => boolean) {
  const { socket } = (await greet(port, from))!;
  const sums = { sent: 0, received: 0 };
  const bytes = { sent: 0, received: 0 };
  const take = (side: 'sent' | 'received', chunk: Buffer): void => {
    bytes[side] += chunk.length;
    sums[side] = crc32(chunk, sums[side]);
  };
  socket.on('data', (chunk: Buffer) => take('received', chunk));
  const ended = once(socket, 'end');
  for (let n = 0; going(); n++) {
    const block = Buffer.from(BLOCK);
    block.writeUInt32LE(n);
    take('sent', block);
    if (!socket.write(block)) await once(socket, 'drain');
  }
  socket.end();
  await ended;
  return { bytes, isSame: sums.sent === sums.received };
}

onEachEngine(
  t,
  'bulk and short connections beside one another: all bytes arrive, and nobody waits',
  async (t, engine) => {
    const backend = await startBackend(t, 'one', (socket) => socket.write('one\n', () => socket.pipe(socket)));
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
    let visits = 0;
    let longest = 0;
    const flows = Array.from({ length: FLOWS }, (_, i) => flow(proxy.port, `127.0.3.${i + 1}`, () => visits < VISITS));
    await until('every flow to run', async () => (await proxy.held()) === FLOWS);

    let answered = 0;
    const stream = async (from: string) => {
      while (visits < VISITS) {
        visits++;
        const began = performance.now();
        const { socket } = (await greet(proxy.port, from))!;
        const echo = readLine(socket);
        socket.write('a short word\n');
        if ((await echo) === 'a short word') answered++;
        socket.end().resume();
        await once(socket, 'close');
        longest = Math.max(longest, performance.now() - began);
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, (_, i) => stream(`127.0.4.${i + 1}`)));
    t.equal(answered, VISITS);
    t.ok(longest < LONGEST_MS, `the longest took ${Math.round(longest)} ms`);

    const done = await Promise.all(flows);
    for (const { bytes, isSame } of done)
      t.ok(isSame && bytes.sent === bytes.received, `${bytes.sent} bytes, each way`);
    await until('every slot to be back', async () => (await proxy.held()) === 0);
    t.same(await proxy.stop(), { code: 0, signal: null });
    const records = proxy.log.filter(({ msg }) => msg === 'connection');
    t.equal(records.length, VISITS + FLOWS);
    t.same(new Set(records.map(({ close }) => close)), new Set(['finished']));
    const sum = (field: string) => records.reduce((total, record) => total + Number(record[field]), 0);
    const sent = done.reduce((total, { bytes }) => total + bytes.sent, 0) + VISITS * 'a short word\n'.length;
    t.equal(sum('bytesToBackend'), sent);
    t.equal(sum('bytesToClient'), sent + (VISITS + FLOWS) * 'one\n'.length);
  },
);

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { BulkTurns } from '../../../src/adapters/dataplane/stream/bulk-turns.ts';

t.test('four read in a turn, in the order in which they waited, and who waits again comes last', async (t) => {
  const turns = new BulkTurns();
  const read: number[] = [];
  const flows = Array.from({ length: 6 }, (_, i) => ({ resume: () => void read.push(i) }));
  for (const flow of flows) turns.wait(flow);
  turns.wait(flows[0]!);
  t.same(read, [], 'not from within');
  await nextTurn();
  t.same(read, [0, 1, 2, 3]);
  turns.wait(flows[0]!);
  await nextTurn();
  t.same(read, [0, 1, 2, 3, 4, 5, 0]);
  await nextTurn();
  t.equal(read.length, 7);
});

const FLOWS = 64;
/** This process, with both ends of all flows, may itself be late with one where the machine has other work. */
const ATTEMPTS = 8;
const MEAN_BYTES = 8 * 1024 * 1024;
const PIECE = Buffer.alloc(256 * 1024, 'bulk');

// Guards: while one flow is read again and again, others wait, and those who come new are accepted one a turn.
t.test(`of ${FLOWS} bulk flows that begin together none gets less than a quarter of the mean`, async (t) => {
  let share = 0;
  for (let attempt = 0; attempt < ATTEMPTS && share < 0.25; attempt++) share = await leastShare(t);
  t.ok(share >= 0.25, `${Math.round(100 * share)} % of the mean`);
});

/** Of the flow that got least, in parts of the mean. */
async function leastShare(t: Test): Promise<number> {
  const { relay, port } = await startRelay(await startSource(t));
  const received = new Float64Array(FLOWS);
  let total = 0;
  await new Promise<void>((resolve) => {
    for (let flow = 0; flow < FLOWS; flow++) {
      receive(t, port, (bytes) => {
        received[flow]! += bytes;
        total += bytes;
        if (total >= FLOWS * MEAN_BYTES) resolve();
      });
    }
  });
  const share = (Math.min(...received) * FLOWS) / total;
  relay.kill('SIGKILL');
  await once(relay, 'exit');
  return share;
}

async function startRelay(backendPort: number): Promise<{ relay: ChildProcess; port: number }> {
  const file = fileURLToPath(new URL('./relay-process.ts', import.meta.url));
  const relay = fork(file, [String(backendPort), 'stream']);
  const [{ port }] = (await once(relay, 'message')) as [{ port: number }];
  return { relay, port };
}

/** Writes without an end; its port. */
async function startSource(t: Test): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    const write = () => {
      while (socket.write(PIECE));
    };
    socket.on('drain', write);
    write();
    t.teardown(() => socket.destroy());
  });
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** All into one buffer, which nobody looks at. */
const sink = Buffer.allocUnsafeSlow(PIECE.length);

function receive(t: Test, port: number, received: (bytes: number) => void): void {
  const callback = (bytes: number) => {
    received(bytes);
    return true;
  };
  const socket = net.connect({ host: '127.0.0.1', port, onread: { buffer: sink, callback } });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
}

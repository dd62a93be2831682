import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';

/** Listens with the smallest queue and then blocks its thread, so that nobody ever accepts. */
const SOURCE = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/**
 * A loopback port where a dial gets no answer: the queue of its listening socket is full, so the kernel drops what asks
 * for a connection.
 */
export async function blackhole(t: Test): Promise<number> {
  const thread = new Worker(SOURCE, { eval: true });
  t.teardown(() => thread.terminate());
  const [port]: number[] = await once(thread, 'message');
  if (port === undefined) throw new Error('the thread told no port');
  // A backlog of 1 queues two connections; those beyond hang, as the engine's will.
  const fillers = Array.from({ length: 4 }, () => net.connect({ host: '127.0.0.1', port }));
  t.teardown(() => {
    for (const filler of fillers) filler.destroy();
  });
  let connected = 0;
  await new Promise<void>((resolve) => {
    for (const filler of fillers) {
      filler.on('error', () => {});
      filler.on('connect', () => ++connected === 2 && resolve());
    }
  });
  return port;
}

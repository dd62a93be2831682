import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';

/** Listens with the smallest queue and then blocks its thread, so that nobody accepts before it is told to. */
const SOURCE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(workerData, 0, 0);
  });
`;

/**
 * A loopback port where a dial gets no answer: the queue of its listening socket is full, so the kernel drops what asks
 * for a connection.
 */
export async function blackhole(t: Test): Promise<number> {
  return (await lateBackend(t)).port;
}

/** The same, until `open` is called: the kernel asks again for a connection a second after it was first asked to. */
export async function lateBackend(t: Test): Promise<{ port: number; open: () => void }> {
  const opened = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(SOURCE, { eval: true, workerData: opened });
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
  const open = () => {
    Atomics.store(opened, 0, 1);
    Atomics.notify(opened, 0);
  };
  return { port, open };
}

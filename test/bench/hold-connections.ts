// A process of its own, started by idle-memory.ts: holds connections, as many as its parent says. Argument: port.
import { once } from 'node:events';
import net from 'node:net';

/** Connections opened at once: fewer than any listening queue takes. */
const BATCH = 200;
const ANSWER_MS = 30_000;
const ADDRESSES_A_NETWORK = 250;

const port = Number(process.argv[2]);
const held: net.Socket[] = [];

process.on('disconnect', () => process.exit(0));
process.on('message', async (count: number) => {
  while (held.length < count) await openBatch(Math.min(BATCH, count - held.length));
  process.send!(held.filter(({ readyState }) => readyState === 'open').length);
});

/** Each from an address of its own. A request and its answer prove the backend, and have buffers made that are made at first use. */
async function openBatch(size: number): Promise<void> {
  const batch = Array.from({ length: size }, (_, i) => {
    const client = held.length + i;
    const network = 1 + Math.floor(client / ADDRESSES_A_NETWORK);
    const localAddress = `127.0.${network}.${1 + (client % ADDRESSES_A_NETWORK)}`;
    // One that is reset is missing among the open ones.
    return net.connect({ host: '127.0.0.1', port, localAddress }).on('error', () => {});
  });
  const signal = AbortSignal.timeout(ANSWER_MS);
  await Promise.all(batch.map((socket) => once(socket, 'connect', { signal })));
  await Promise.all(
    batch.map((socket) => {
      const answered = once(socket, 'data', { signal });
      socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
      return answered;
    }),
  );
  held.push(...batch);
}

import { once } from 'node:events';
import net from 'node:net';
import type { Contestant } from './contestants.ts';
import { privateBytes } from './processes.ts';

const BATCH = 200;

/** Private memory that each of `count` idle connections costs the proxy's processes, in bytes. Kernel buffers are not in it. */
export async function bytesPerIdleConnection(contestant: Contestant, count: number): Promise<number> {
  const before = privateBytes(contestant.pids);
  const sockets: net.Socket[] = [];
  for (let made = 0; made < count; made += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - made) }, (_, i) => {
      const localAddress = `127.0.${1 + Math.floor((made + i) / 250)}.${1 + ((made + i) % 250)}`;
      return net.connect({ host: '127.0.0.1', port: contestant.httpPort, localAddress });
    });
    await Promise.all(batch.map((socket) => once(socket, 'connect')));
    // A request and its answer prove that each has its backend, and lets lazily made buffers be made.
    await Promise.all(
      batch.map((socket) => {
        const answered = once(socket, 'data');
        socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
        return answered;
      }),
    );
    sockets.push(...batch);
  }
  const bytes = (privateBytes(contestant.pids) - before) / count;
  for (const socket of sockets) socket.destroy();
  return bytes;
}

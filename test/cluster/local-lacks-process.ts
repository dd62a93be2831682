import { once } from 'node:events';
import net from 'node:net';
import type { Test } from 'tap';
import type { Engine } from '../fixtures/engines.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { connect, readLine } from '../fixtures/tcp-client.ts';

/**
 * Runs in a network namespace of its own, whose local ports are few and which has no route but to itself: what the proxy
 * does when this host cannot dial. Prints what was seen as one line of JSON.
 */
const engine = process.argv[2] as Engine;
const teardowns: (() => unknown)[] = [];
const t = { teardown: (done: () => unknown) => teardowns.unshift(done) } as unknown as Test;

/** Outside of the local ports. */
async function backend(id: string, port: number): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`${id}\n`);
    socket.resume();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  teardowns.unshift(() => server.close());
}

await backend('crowded', 1001);
await backend('spare', 1002);
const common = { hardLimit: 0, softLimit: 0, region: 'sa' } as const;
const proxy = await startProxy(t, {
  engine,
  rows: [
    { ...common, id: 'crowded', app: 'alone', port: 1001 },
    { ...common, id: 'near', app: 'pair', port: 1001 },
    { ...common, id: 'spare', app: 'pair', port: 1002, region: 'eu' },
    { ...common, id: 'far', app: 'away', host: '192.0.2.1', port: 80 },
  ],
  env: {
    EDGEPROXY_LISTEN_ADDR: ['alone', 'pair', 'away'].map((app, i) => `127.0.0.1:${2001 + i}=${app}`).join(','),
    EDGEPROXY_ADMIN_ADDR: '127.0.0.1:2000',
    EDGEPROXY_WORKERS: '1',
  },
});

/** Each client from an address of its own, which has all the local ports. */
let clients = 0;
const visit = async (port: number) => {
  const socket = await connect(port, `127.0.1.${++clients}`);
  return readLine(socket);
};

// Every local port of this host that may dial the backend is taken, by clients that stay.
let served = 0;
let refused = false;
while (!refused && served < 100) {
  if ((await visit(2001)) === null) refused = true;
  else served++;
}
const alone = await proxy.logged('connection', ({ backend }) => backend === null);
const spare = await visit(2002);
const away = await visit(2003);
const noRoute = await proxy.logged('connection', ({ why }) => why === 'no_route');
const metrics = await (await fetch(`${proxy.admin}/metrics`)).text();
const ready = await proxy.get<{ reasons: string[] }>('/readyz');
const warnings = proxy.log.filter(({ level }) => level === 'warn');
await proxy.stop();
const pair = proxy.log.find(({ listener, backend }) => String(listener).includes('2002') && backend !== null);
process.stdout.write(
  `${JSON.stringify({ served, alone, spare, pair, away, noRoute, warnings, ready, metrics: metrics.split('\n').filter((line) => /^edgeproxy_(local|backend)_errors/.test(line) && !line.endsWith(' 0')) })}\n`,
);
for (const teardown of teardowns) await teardown();
process.exit();

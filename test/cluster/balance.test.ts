import t, { type Test } from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { type GreetedClient, greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const HELD = 1000;
/** Clients that come at once. */
const BURST = 100;

async function hold(t: Test, proxy: RunningProxy, count: number): Promise<GreetedClient[]> {
  const clients: GreetedClient[] = [];
  for (let made = 0; made < count; made += BURST) {
    const batch = await Promise.all(Array.from({ length: Math.min(BURST, count - made) }, () => greet(proxy.port)));
    for (const client of batch) {
      if (client === null) throw new Error('a client was turned away');
      clients.push(client);
    }
  }
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy();
  });
  return clients;
}

const connections = async (proxy: RunningProxy) => (await proxy.serving()).map((worker) => worker.connections);

for (const workers of [2, 4]) {
  onEachEngine(
    t,
    `of ${HELD} connections no one of ${workers} workers holds more than 1.25 of the mean`,
    async (t, engine) => {
      const backend = await startBackend(t, 'one');
      const proxy = await startProxy(t, {
        rows: [{ id: 'one', port: backend.port, softLimit: HELD }],
        env: { EDGEPROXY_WORKERS: String(workers) },
        engine,
      });
      await hold(t, proxy, HELD);
      const held = await connections(proxy);
      t.equal(held.length, workers);
      t.equal(
        held.reduce((a, b) => a + b),
        HELD,
      );
      t.ok(Math.max(...held) <= (HELD / workers) * 1.25, `they hold ${held.join(', ')}`);
    },
  );
}

onEachEngine(t, 'a successor of a killed worker gets the clients that come then', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port, softLimit: HELD }],
    env: { EDGEPROXY_WORKERS: '2' },
    engine,
  });
  await hold(t, proxy, 400);
  const [victim, survivor] = (await proxy.serving()).sort((a, b) => a.connections - b.connections);
  process.kill(victim!.pid, 'SIGKILL');
  await until('a successor', async () => {
    const serving = await proxy.serving();
    return serving.length === 2 && serving.every(({ pid }) => pid !== victim!.pid);
  });
  const before = survivor!.connections;
  await hold(t, proxy, 300);
  const held = Object.fromEntries((await proxy.serving()).map(({ pid, connections }) => [pid, connections]));
  t.ok(held[survivor!.pid]! - before < 150, `the one that was ahead took ${held[survivor!.pid]! - before} of 300`);
});

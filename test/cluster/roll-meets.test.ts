import { once } from 'node:events';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { kill, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

interface Rolled {
  readonly replaced: number;
  readonly draining: number;
  readonly resetInMs: number;
  readonly stopping: boolean;
}

const roll = (proxy: RunningProxy) => proxy.post<Rolled>('/api/v1/workers/roll');
const drains = (proxy: RunningProxy) => proxy.get<{ drainMs: number; reset: number }>('/api/v1/workers');
const said = (proxy: RunningProxy, msg: string) => proxy.log.filter((record) => record.msg === msg);

onEachEngine(
  t,
  'a roll says before and after what is open and until when, and counts what it reset',
  async (t, engine) => {
    const backend = await startBackend(t, 'one');
    const env = { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '2' };
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine, env });
    const clients = [(await greet(proxy.port))!, (await greet(proxy.port))!, (await greet(proxy.port))!];
    const resets = clients.map(({ socket }) => once(socket, 'error'));
    t.match(await drains(proxy), { drainMs: 2000, reset: 0 });
    const { body } = await roll(proxy);
    t.match(await proxy.logged('roll started'), { workers: 2, connections: 3, drainMs: 2000 });
    t.match(body, { replaced: 2, draining: 3, stopping: false });
    t.ok(body.resetInMs > 0 && body.resetInMs <= 2000);
    const draining = (await proxy.workers()).filter(({ state }) => state === 'draining');
    for (const worker of draining) t.ok((worker as { resetInMs?: number }).resetInMs! <= 2000);
    for (const reset of resets) t.match(await reset, [{ code: 'ECONNRESET' }]);
    await until('the drains to be over', async () => (await proxy.workers()).length === 2);
    t.match(await drains(proxy), { reset: 3 });
    const cut = said(proxy, 'worker drained').reduce((sum, record) => sum + Number(record.cut), 0);
    t.equal(cut, 3, 'as the records of the workers say');
  },
);

t.test('a stop during a roll ends both, without a failure', async (t) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_WORKERS: '6' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  const rolling = roll(proxy).catch(() => null);
  await proxy.logged('roll started');
  proxy.signal('SIGTERM');
  t.same(await proxy.exited, { code: 0, signal: null });
  t.match(said(proxy, 'roll finished'), [{ stopping: true }]);
  t.same(
    proxy.log.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
  const answer = await rolling;
  if (answer !== null) t.match(answer, { status: 200, body: { stopping: true } });
});

t.test('fewer and more workers during a roll: it goes on, and nobody of the old code is left', async (t) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_WORKERS: '6' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  const old = (await proxy.workers()).map(({ pid }) => pid);
  const rolling = roll(proxy);
  await proxy.logged('roll started');
  await proxy.post('/api/v1/workers/scale', { count: 2 });
  await proxy.post('/api/v1/workers/scale', { count: 3 });
  t.match(await rolling, { status: 200, body: { stopping: false } });
  const workers = await until('three workers', async () => {
    const all = await proxy.workers();
    return all.length === 3 && all.every(({ state }) => state === 'serving') && all;
  });
  t.same(
    workers.filter(({ pid }) => old.includes(pid)),
    [],
  );
  t.same(
    proxy.log.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
});

onEachEngine(t, 'connections that a second signal cuts have their records', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '600' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine, env });
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push((await greet(proxy.port))!);
  proxy.signal('SIGTERM');
  await proxy.logged('stopping: draining connections');
  proxy.signal('SIGTERM');
  t.same(await proxy.exited, { code: 1, signal: null });
  t.same(
    said(proxy, 'connection').map(({ close }) => close),
    Array.from({ length: 20 }, () => 'worker_died'),
  );
  for (const { socket } of clients) socket.destroy();
});

t.test('workers that are killed whenever they are there are backed off, and /readyz says so', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }] });
  let kills = 0;
  const end = performance.now() + 8_000;
  while (performance.now() < end) {
    for (const { pid } of await proxy.workers()) if (kill(pid)) kills++;
  }
  t.ok(kills < 60, `${kills} in 8 s`);
  const { reasons } = await proxy.get<{ reasons: string[] }>('/readyz');
  t.match(reasons.join(), /workers crash: \d+ in a row, last by signal SIGKILL/);
  await until('two workers', async () => (await proxy.serving()).length === 2);
  (await greet(proxy.port))!.socket.destroy();
});

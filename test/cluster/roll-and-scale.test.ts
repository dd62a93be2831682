import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { isAlive, ROOT, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const servingPids = async (proxy: RunningProxy) => (await proxy.serving()).map(({ pid }) => pid).sort();

/** Clients that come and go until told to stop. `unserved` are those that did not get through. */
function steadyClients(port: number): {
  stop: () => Promise<{ served: number; unserved: number }>;
  served: () => number;
} {
  let going = true;
  const counts = { served: 0, unserved: 0 };
  const run = async (from: string) => {
    while (going) {
      const client = await greet(port, from).catch(() => null);
      if (client === null) counts.unserved++;
      else counts.served++;
      client?.socket.destroy();
    }
  };
  const clients = Promise.all([run('127.0.3.1'), run('127.0.3.2'), run('127.0.3.3')]);
  return {
    served: () => counts.served,
    stop: async () => {
      going = false;
      await clients;
      return counts;
    },
  };
}

onEachEngine(t, 'a roll replaces every worker, cuts nobody and refuses nobody', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
  const held = (await greet(proxy.port, '127.0.3.9'))!;
  const clients = steadyClients(proxy.port);

  for (const how of ['SIGUSR2', 'API'] as const) {
    const before = await servingPids(proxy);
    const rolls = proxy.log.filter(({ msg }) => msg === 'roll finished').length;
    if (how === 'SIGUSR2') proxy.signal('SIGUSR2');
    else t.match(await proxy.post('/api/v1/workers/roll'), { status: 200, body: { replaced: 2, stopping: false } });
    await until('the roll to finish', () => proxy.log.filter(({ msg }) => msg === 'roll finished').length > rolls);
    const after = await servingPids(proxy);
    t.equal(after.length, 2, `${how}: as many workers as before`);
    t.same(
      after.filter((pid) => before.includes(pid)),
      [],
      `${how}: all of them new`,
    );
    const served = clients.served();
    await until('clients to be served by the new ones', () => clients.served() > served + 10);
    if (how === 'SIGUSR2') {
      const echo = readLine(held.socket);
      held.socket.write('still there\n');
      t.equal(await echo, 'still there', 'a connection of a draining worker goes on');
      held.socket.end();
      for (const pid of before) await until(`drained worker ${pid} to be gone`, () => !isAlive(pid));
    }
  }
  const { served, unserved } = await clients.stop();
  t.equal(unserved, 0, `none of ${served + unserved} clients went unserved`);
  for (const { state, replaced } of sequence(proxy)) t.ok(replaced, state);
  await until('every slot to be back', async () => (await proxy.held()) === 0);
});

/** Each worker that drained did so after one more had come to serve. */
function sequence(proxy: RunningProxy): { state: string; replaced: boolean }[] {
  let serving = 0;
  return proxy.log.flatMap(({ msg, worker }) => {
    if (msg === 'worker serving') serving++;
    if (msg !== 'worker draining') return [];
    return [{ state: `worker ${worker} drains while ${serving} serve`, replaced: serving-- === 3 }];
  });
}

t.test('workers are scaled by signal and by API, within bounds', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }] });
  const clients = steadyClients(proxy.port);
  const becomes = (count: number) => until(`${count} workers`, async () => (await proxy.workers()).length === count);
  proxy.signal('SIGTTIN');
  await becomes(3);
  await until('three to serve', async () => (await proxy.serving()).length === 3);
  proxy.signal('SIGTTOU');
  await becomes(2);
  t.same(await proxy.post('/api/v1/workers/scale', { count: 4 }), { status: 200, body: { count: 4 } });
  await until('four to serve', async () => (await proxy.serving()).length === 4);
  t.same(await proxy.post('/api/v1/workers/scale', { count: 1 }), { status: 200, body: { count: 1 } });
  await becomes(1);
  proxy.signal('SIGTTOU');
  t.match(await proxy.post('/api/v1/workers/scale', { count: 0 }), {
    status: 400,
    body: { error: { code: 'EDGE_ERR_USAGE' } },
  });
  t.equal((await proxy.workers()).length, 1, 'never fewer than one');
  t.equal((await clients.stop()).unserved, 0);
});

onEachEngine(t, 'SIGTERM to a single worker replaces it without cutting its connections', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
  const held = (await greet(proxy.port))!;
  const holder = (await proxy.workers()).find(({ connections }) => connections === 1)!;
  process.kill(holder.pid, 'SIGTERM');
  await proxy.logged('worker draining', ({ worker }) => worker === holder.pid);
  await until('a successor to serve', async () => (await proxy.serving()).length === 2);
  const echo = readLine(held.socket);
  held.socket.write('still there\n');
  t.equal(await echo, 'still there');
  held.socket.end();
  await proxy.logged('worker drained', ({ worker }) => worker === holder.pid);
});

t.test('a worker that throws at boot backs off, shows in /readyz, and does not end the proxy', async (t) => {
  const backend = await startBackend(t, 'one');
  const directory = t.testdir({
    'throws.cjs': "if (process.env.EDGEPROXY_INTERNAL_INCARNATION) throw new Error('worker code is broken');",
  });
  const env = { NODE_OPTIONS: `--require=${join(directory, 'throws.cjs')}` };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env, impatient: true });
  await until('several crashes', () => proxy.log.filter(({ msg }) => msg === 'worker died').length >= 4);
  const admin = await proxy.logged('admin API listening');
  const response = await fetch(`http://${String(admin.address)}/readyz`);
  const readiness = (await response.json()) as { ready: boolean; reasons: string[]; workers: { crashes: number } };
  t.equal(response.status, 503);
  t.match(readiness, {
    ready: false,
    reasons: [/no worker accepts/, /workers crash: \d+ in a row, last by exit code 1; next start in \d+ ms/],
  });
  t.ok(readiness.workers.crashes >= 4);
  const alive = await fetch(`http://${String(admin.address)}/healthz`);
  t.equal(alive.status, 200);
  t.same(await proxy.stop(), { code: 0, signal: null });
});

t.test('a roll to code that speaks another protocol is refused, and the old workers serve on', async (t) => {
  const backend = await startBackend(t, 'one');
  const root = t.testdir();
  for (const folder of ['src', 'workers', 'package.json'])
    cpSync(join(ROOT, folder), join(root, folder), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], root });
  const before = await servingPids(proxy);
  const messages = join(root, 'src/ipc/messages.ts');
  const newer = readFileSync(messages, 'utf8').replace(/PROTOCOL = \d+;/, 'PROTOCOL = 99;');
  t.match(newer, 'PROTOCOL = 99');
  writeFileSync(messages, newer);

  const answer = await proxy.post<{ error: { code: string; message: string } }>('/api/v1/workers/roll');
  t.equal(answer.status, 503);
  t.match(answer.body.error, { code: 'EDGE_ERR_WORKER_START', message: /it speaks protocol 99 and the primary \d+:/ });
  t.same(await servingPids(proxy), before, 'the old workers are there');
  t.ok((await greet(proxy.port)) !== null, 'and serve');
});

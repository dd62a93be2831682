import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { SKIPPED } from '../fixtures/engines.ts';
import { isAlive, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

// A stop with nothing open waits for nothing: each of these is something that it might wait for, to its drain deadline or
// for ever.

const env = { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '600' };

/** Ticks of CPU that a process has had. Linux. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function stops(t: Test, proxy: RunningProxy): Promise<void> {
  const from = performance.now();
  proxy.signal('SIGTERM');
  await until('it to be gone', () => proxy.child.exitCode !== null || proxy.child.signalCode !== null);
  t.same(await proxy.exited, { code: 0, signal: null });
  t.comment(`after ${Math.round(performance.now() - from)} ms`);
}

t.test('a load of the routing database that does not end', { skip: SKIPPED.epoll }, async (t) => {
  const proxy = await startProxy(t, { rows: [{ id: 'one' }], env });
  const db = new Database(proxy.dbPath);
  // Within one call of SQLite's, which nothing interrupts.
  db.exec(`ALTER TABLE backends RENAME TO rows;
    CREATE VIEW backends AS SELECT * FROM rows
    WHERE (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) > 0;`);
  db.close();
  const before = cpuOf(proxy.pid);
  await until('the load to run', () => cpuOf(proxy.pid) > before + 50);
  await stops(t, proxy);
});

t.test('a worker that hangs while it starts', async (t) => {
  const directory = t.testdir({
    'hangs.cjs': "if (process.env.EDGEPROXY_INTERNAL_INCARNATION === '3') for (;;);",
  });
  const proxy = await startProxy(t, {
    env: { ...env, NODE_OPTIONS: `--require=${join(directory, 'hangs.cjs')}` },
  });
  proxy.signal('SIGTTIN');
  const hanging = await until('it to start', async () =>
    (await proxy.workers()).find(({ state }) => state === 'starting'),
  );
  await stops(t, proxy);
  t.notOk(isAlive(hanging.pid));
});

t.test('an admin request under way, and a roll', async (t) => {
  const proxy = await startProxy(t, { env });
  const { port, hostname } = new URL(proxy.admin);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write('POST /api/v1/workers/scale HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\n{');
  const rolling = proxy.post('/api/v1/workers/roll').catch(() => null);
  await proxy.logged('roll started');
  await stops(t, proxy);
  await rolling;
  socket.destroy();
});

t.test('a lame duck serves on while readiness is gone, and then stops; a second signal ends it at once', async (t) => {
  const backend = await startBackend(t, 'one');
  const rows = [{ id: 'one', port: backend.port }];
  const duck = await startProxy(t, { rows, env: { ...env, EDGEPROXY_LAME_DUCK_SECS: '600' } });
  duck.signal('SIGTERM');
  await duck.logged('stopping: lame duck');
  const response = await fetch(`${duck.admin}/readyz`);
  t.equal(response.status, 503);
  t.match(await response.json(), { ready: false, reasons: ['the proxy is stopping'] });
  const client = await greet(duck.port);
  t.equal(client?.backend, 'one');
  duck.signal('SIGTERM');
  t.same(await duck.exited, { code: 1, signal: null });
  client?.socket.destroy();
  const brief = await startProxy(t, { rows, env: { ...env, EDGEPROXY_LAME_DUCK_SECS: '1' } });
  await stops(t, brief);
  t.same(
    brief.log.map(({ msg }) => msg).filter((msg) => msg?.startsWith('stop')),
    ['stopping: lame duck', 'stopping: draining connections', 'stopped'],
  );
});

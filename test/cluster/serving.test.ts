import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { writeMmdb } from '../fixtures/mmdb.ts';
import { ROOT, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { connect, drain, greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const version = async (proxy: RunningProxy) =>
  (await proxy.get<{ routing: { version: number } }>('/readyz')).routing.version;

const gone = async (port: number, from: string) => {
  const client = await greet(port, from);
  client?.socket.destroy();
  return client?.backend ?? null;
};

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

t.test(
  'without a database it creates one, says how to add a backend, refuses cleanly, and serves once there is one',
  async (t) => {
    const backend = await startBackend(t, 'late');
    const proxy = await startProxy(t);
    t.match(
      await proxy.logged(
        'no backends yet: clients are refused until there is one; add it while this runs, from another terminal:',
      ),
      { database: 'routing.db' },
    );
    t.ok(proxy.log.some(({ msg }) => msg.startsWith('npx edgeproxy backends add ')));
    t.equal((await fetch(`${proxy.admin}/readyz`)).status, 503);
    const refused = await drain(await connect(proxy.port));
    t.same(refused, { bytes: Buffer.alloc(0), reset: false }, 'an orderly end');
    await until(
      'the refusal to be counted',
      async () => (await proxy.metric('edgeproxy_refused_total{reason="no_backend"}')) === 1,
    );

    writeRoutingDb(proxy.dbPath, [{ id: 'late', port: backend.port }]);
    await until('the backend to serve', async () => (await gone(proxy.port, '127.0.0.1')) === 'late');
    t.equal((await fetch(`${proxy.admin}/readyz`)).status, 200);
  },
);

t.test('a wrong configuration stops the start with exit code 2 and one message that names every mistake', async (t) => {
  const env = { EDGEPROXY_REGION: 'mars', EDGEPROXY_WORKERS: 'many', EDGEPROXY_IDLE_TIMEOUT_SECS: '1e3' };
  const run = spawnSync(process.execPath, [join(ROOT, 'src/main.ts')], { cwd: t.testdir(), env, encoding: 'utf8' });
  t.equal(run.status, 2);
  for (const [name, value] of Object.entries(env)) t.match(run.stderr, new RegExp(`${name}="${value}": may hold `));
  t.match(run.stderr, /wrong in 3 places/);
});

t.test('an address that is taken stops the start with exit code 3 and says so', async (t) => {
  const taken = await startBackend(t, 'taken');
  const address = `127.0.0.1:${taken.port}`;
  for (const name of ['EDGEPROXY_LISTEN_ADDR', 'EDGEPROXY_ADMIN_ADDR']) {
    const proxy = await startProxy(t, { env: { [name]: address }, impatient: true });
    t.same(await proxy.exited, { code: 3, signal: null }, name);
    t.match(proxy.noise.join('\n'), new RegExp(`cannot listen on .*${address}.*EADDRINUSE`));
  }
});

t.test('clients go to their country, follow a replaced GeoIP file, and explain says why', async (t) => {
  const [brazil, germany] = [await startBackend(t, 'brazil'), await startBackend(t, 'germany')];
  const geoip = join(t.testdir(), 'geo.mmdb');
  writeMmdb(geoip, [{ network: '127.7.0.0/16', record: { country: { iso_code: 'BR' } } }]);
  const rows = [
    { id: 'brazil', port: brazil.port, region: 'sa' as const, country: 'BR' },
    { id: 'germany', port: germany.port, region: 'eu' as const, country: 'DE' },
  ];
  const proxy = await startProxy(t, { rows, env: { EDGEPROXY_GEOIP_PATH: geoip, EDGEPROXY_REGION: 'eu' } });
  t.equal(await gone(proxy.port, '127.7.0.1'), 'brazil', 'in its country');
  t.equal(await gone(proxy.port, '127.8.0.1'), 'germany', "nowhere: the POP's region");
  await until('both to be over', async () => (await proxy.held()) === 0);
  t.match(await proxy.get('/api/v1/explain?ip=127.7.0.1'), {
    geo: { country: 'BR', region: 'sa' },
    binding: { backend: 'brazil', openConnections: 0 },
    choice: { backend: 'brazil', why: 'bound' },
    candidates: [
      { id: 'brazil', tier: 0, excluded: null },
      { id: 'germany', tier: 2, excluded: null },
    ],
  });
  writeMmdb(`${geoip}.new`, [{ network: '127.8.0.0/16', record: { country_code: 'BR' } }]);
  renameSync(`${geoip}.new`, geoip);
  await proxy.logged('GeoIP database reloaded');
  t.equal(await gone(proxy.port, '127.8.0.2'), 'brazil');
  t.equal(await gone(proxy.port, '127.7.0.1'), 'brazil', 'and the bound stay');

  const reasons = async () => (await proxy.get<{ ready: boolean; reasons: string[] }>('/readyz')).reasons.join('\n');
  t.equal(await reasons(), '');
  renameSync(geoip, `${geoip}.away`);
  await until('its loss to be told', async () => /^the GeoIP database of before serves on: /.test(await reasons()));
  renameSync(`${geoip}.away`, geoip);
  await until('its return to be seen', async () => (await reasons()) === '');
});

onEachEngine(t, 'a backend that refuses is left out, the binding moves, and the record says so', async (t, engine) => {
  const alive = await startBackend(t, 'alive');
  const rows = [
    { id: 'dead', port: await closedPort(), country: 'BR', region: 'sa' as const },
    { id: 'alive', port: alive.port, region: 'eu' as const },
  ];
  const geoip = join(t.testdir(), 'geo.mmdb');
  writeMmdb(geoip, [{ network: '127.0.0.0/8', record: { country_code: 'BR' } }]);
  const proxy = await startProxy(t, { rows, engine, env: { EDGEPROXY_GEOIP_PATH: geoip } });
  t.equal(await gone(proxy.port, '127.0.0.1'), 'alive');
  t.match(await proxy.logged('connection'), {
    backend: 'alive',
    why: 'retried',
    attempts: 2,
    tried: [{ backend: 'dead', code: 'ECONNREFUSED' }],
  });
  t.equal(await gone(proxy.port, '127.0.0.1'), 'alive');
  t.match(await proxy.logged('connection', ({ why }) => why === 'bound'), { backend: 'alive', attempts: 1 });
  const metrics = await (await fetch(`${proxy.admin}/metrics`)).text();
  t.match(metrics, /^edgeproxy_backend_errors_total\{backend="dead",code="\w+"\} 1$/m);
  t.equal(await proxy.held(), 0);
});

onEachEngine(
  t,
  'when no backend accepts, the client is turned away with the reason counted and logged',
  async (t, engine) => {
    const rows = [
      { id: 'dead-1', port: await closedPort() },
      { id: 'dead-2', port: await closedPort() },
    ];
    const proxy = await startProxy(t, { rows, engine });
    t.equal(await gone(proxy.port, '127.0.0.1'), null);
    t.match(await proxy.logged('connection'), { backend: null, why: 'connect_failed', close: 'refused', attempts: 2 });
    t.equal(await proxy.metric('edgeproxy_refused_total{reason="connect_failed"}'), 1);
    t.equal(await proxy.held(), 0);
  },
);

onEachEngine(t, 'near its descriptor limit a worker refuses and counts, and never runs out', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_WORKERS: '1' };
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port }],
    engine,
    env,
    before: 'ulimit -n 128',
  });
  const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => greet(proxy.port, `127.0.9.${i + 1}`)));
  const served = clients.filter((client) => client !== null);
  t.equal(served.length, 31, 'half of what 128 descriptors leave beside the listener and the 64 that are kept back');
  await until(
    'the others to be counted',
    async () => (await proxy.metric('edgeproxy_refused_total{reason="descriptor_limit"}')) === 29,
  );
  for (const { socket } of served) socket.destroy();
  await until('every slot to be back', async () => (await proxy.held()) === 0);
  t.equal(await gone(proxy.port, '127.0.9.99'), 'one', 'there is room again');
});

t.test('a row that leads back to the proxy is refused by name, and the others serve', async (t) => {
  const backend = await startBackend(t, 'good');
  const port = await closedPort();
  const rows = [
    { id: 'loop', host: '127.0.0.5', port },
    { id: 'good', port: backend.port },
  ];
  const proxy = await startProxy(t, { rows, env: { EDGEPROXY_LISTEN_ADDR: `0.0.0.0:${port}` } });
  t.match(await proxy.logged('routing rows skipped; the good ones serve'), { skipped: 1, rows: [{ id: 'loop' }] });
  t.equal(await gone(port, '127.0.0.1'), 'good');
  t.equal(await proxy.metric('edgeproxy_routing_bad_rows'), 1);
});

t.test('a broken database leaves the last good table serving, says so once, and recovers', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }] });
  const before = await version(proxy);
  const db = new Database(proxy.dbPath);
  db.exec('ALTER TABLE backends RENAME TO elsewhere');
  const failed = await proxy.logged('routing database not loaded; the last good table serves on');
  t.match(failed, { code: 'EDGE_ERR_DB_SCHEMA' });
  t.equal(await gone(proxy.port, '127.0.0.1'), 'one');
  await until('two more looks', async () => (await proxy.metric('edgeproxy_routing_load_failures_total')) >= 3);
  t.equal(proxy.log.filter(({ level }) => level === 'error').length, 1, 'said once');
  db.exec('ALTER TABLE elsewhere RENAME TO backends');
  db.close();
  await proxy.logged('routing database is readable again');
  t.equal(await version(proxy), before, 'the content is the same, and so is the version');
});

onEachEngine(t, 'listeners serve the backends of their app only, over IPv4 and IPv6', async (t, engine) => {
  const [web, game] = [await startBackend(t, 'web'), await startBackend(t, 'game')];
  const rows = [
    { id: 'web', app: 'web', port: web.port },
    { id: 'game', app: 'game', port: game.port },
  ];
  const env = { EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0=web,[::1]:0=game,127.0.0.1:0' };
  const proxy = await startProxy(t, { rows, engine, env });
  const [webPort, gamePort] = proxy.ports;
  for (let i = 1; i <= 5; i++) t.equal(await gone(webPort!, `127.0.0.${i}`), 'web');
  const socket = await connect(gamePort!, '::1', '::1');
  socket.end();
  t.equal((await drain(socket)).bytes.toString(), 'game\n');
  t.match(await proxy.logged('connection', ({ client }) => client === '::1'), {
    backend: 'game',
    listener: `[::1]:${gamePort}`,
  });
});

import { readFileSync, realpathSync } from 'node:fs';
import t from 'tap';
import type { Status } from '../../src/application/view-status.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';

t.test('a change is served as soon as a look that was asked for is answered, and status tells of it', async (t) => {
  const backend = await startBackend(t, 'new');
  const proxy = await startProxy(t, { env: { EDGEPROXY_DB_RELOAD_SECS: '86400', EDGEPROXY_WORKERS: '1' } });
  const look = async () => (await proxy.post<Record<string, unknown>>('/api/v1/routing/look')).body;
  const path = realpathSync(proxy.dbPath);
  const before = await look();
  writeRoutingDb(proxy.dbPath, [{ id: 'new', port: backend.port }]);
  t.same(await look(), { version: Number(before.version) + 1, changed: true, backends: 1, skipped: 0, path });
  const client = await greet(proxy.port);
  t.equal(client?.backend, 'new');
  const status = await proxy.get<Status>('/api/v1/status');
  t.match(status, {
    pid: proxy.pid,
    node: process.version,
    engine: proxy.engine,
    admin: proxy.admin.replace('http://', ''),
    readiness: { ready: true, reasons: [] },
    listeners: [{ port: proxy.port }],
    workers: { desired: 1, serving: 1, list: [{ state: 'serving', connections: 1 }] },
    routing: { path, backends: 1, error: '' },
    backends: { total: 1, states: { serving: 1 }, busiest: [{ id: 'new', connections: 1, state: 'serving' }] },
    connections: { active: 1, accepted: 1, refused: { no_backend: 0 } },
    geoip: { bundled: true },
    bindings: { count: 1 },
    configuration: { EDGEPROXY_WORKERS: { value: '1', source: 'environment' } },
  });
  t.ok(status.geoip.ageSeconds! > 0);
  t.ok(status.routing.servesForMs! <= status.uptimeMs);
  client?.socket.destroy();
});

const skip = process.platform !== 'linux' && 'it needs /proc';
t.test(
  'workers have nothing of ours in their environment, the token of the admin API least of all',
  { skip },
  async (t) => {
    const token = 'a-secret-of-some-length';
    const proxy = await startProxy(t, { env: { EDGEPROXY_WORKERS: '1', EDGEPROXY_ADMIN_TOKEN: token } });
    const { worker } = await proxy.logged('worker serving');
    const environment = readFileSync(`/proc/${worker}/environ`, 'latin1').split('\0');
    t.same(
      environment.filter((line) => line.startsWith('EDGEPROXY_')).map((line) => line.replace(/=.*/, '')),
      ['EDGEPROXY_INTERNAL_INCARNATION', 'EDGEPROXY_INTERNAL_PRIMARY'],
    );
    t.notMatch(environment.join(), token);
  },
);

import t from 'tap';
import { EdgeError } from '../../../../src/errors.ts';
import { Rig } from '../../../application/rig.ts';
import { openAdmin } from './rig.ts';

t.test('health and readiness', async (t) => {
  const { rig, ask } = await openAdmin(t);
  t.match(await ask('/healthz'), { status: 200, body: { status: 'alive' } });
  t.match(await ask('/readyz'), { status: 503, body: { ready: false, reasons: [/no routing table/] } });
  await rig.serve([{ id: 'a' }]);
  t.match(await ask('/readyz'), { status: 200, body: { ready: true, reasons: [], routing: {}, workers: {} } });
});

t.test('metrics are text, of the type that they say', async (t) => {
  const { ask } = await openAdmin(t);
  const { status, headers, text } = await ask('/metrics');
  t.equal(status, 200);
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.equal(text, 'edgeproxy_up 1\n');
});

t.test('backends and workers', async (t) => {
  const { rig, ask } = await openAdmin(t);
  await rig.serve([{ id: 'a', host: '10.0.0.9', hardLimit: 1 }]);
  rig.pick(1, '10.0.0.1');
  t.match(await ask('/api/v1/backends'), {
    status: 200,
    body: { backends: [{ id: 'a', wg_ip: '10.0.0.9', hard_limit: 1, connections: 1, state: 'full' }] },
  });
  t.same((await ask('/api/v1/workers')).body, {
    workers: [{ pid: 7, incarnation: 1, state: 'serving', connections: 1 }],
  });
});

t.test('explain', async (t) => {
  const rig = new Rig({ countries: { '10.0.0.0/8': 'DE' } });
  await rig.serve([
    { id: 'a' },
    { id: 'b', app: 'game', region: 'us' },
    { id: 'c', app: 'game', region: 'us', healthy: false },
  ]);
  const { ask } = await openAdmin(t, { rig });
  t.match((await ask('/api/v1/explain?ip=10.0.0.1')).body, {
    client: '10.0.0.1',
    listener: { name: '127.0.0.1:8080' },
    geo: { country: 'DE', region: 'eu' },
    choice: { backend: 'a', why: 'picked' },
    omitted: 0,
  });
  t.match((await ask('/api/v1/explain?ip=10.0.0.1&listener=game')).body, { choice: { backend: 'b' } }, 'by app');
  t.match((await ask('/api/v1/explain?ip=::ffff:10.0.0.1&listener=127.0.0.1:8081')).body, {
    client: '10.0.0.1',
    choice: { backend: 'b' },
  });
  const { candidates, omitted } = (await ask('/api/v1/explain?ip=10.0.0.1&limit=1')).body as {
    candidates: { id: string }[];
    omitted: number;
  };
  t.match(candidates, [{ id: 'a' }]);
  t.equal(omitted, 2);
  t.equal(rig.ledger.total, 0);
});

t.test('what explain cannot answer', async (t) => {
  const { ask } = await openAdmin(t);
  for (const [query, message] of [
    ['', /ip/],
    ['?ip=', /no IP address/],
    ['?ip=example.com', /example\.com is no IP address/],
    ['?ip=10.0.0.1&listener=nowhere', /no listener nowhere; there are: 127\.0\.0\.1:8080, 127\.0\.0\.1:8081 \(game\)/],
    ['?ip=10.0.0.1&limit=0', /limit/],
    ['?ip=10.0.0.1&limit=x', /limit/],
  ] as const)
    t.match(await ask(`/api/v1/explain${query}`), {
      status: 400,
      body: { error: { code: 'EDGE_ERR_USAGE', message } },
    });
});

t.test('roll', async (t) => {
  let busy = false;
  const { ask, post } = await openAdmin(t, {
    actions: {
      roll: async () => {
        if (busy) throw new EdgeError('EDGE_ERR_BUSY', 'a roll is under way');
        busy = true;
        return 4;
      },
    },
  });
  t.match(await ask('/api/v1/workers/roll', { method: 'POST' }), { status: 200, body: { replaced: 4 } });
  t.match(await post('/api/v1/workers/roll', '{}'), {
    status: 409,
    body: { error: { code: 'EDGE_ERR_BUSY', message: 'a roll is under way' } },
  });
  t.match(await ask('/api/v1/workers/roll'), { status: 404 }, 'not by a GET, which may be followed by anyone');
});

t.test('a roll that fails says why', async (t) => {
  const { ask } = await openAdmin(t, {
    actions: { roll: () => Promise.reject(new EdgeError('EDGE_ERR_WORKER_START', 'it crashed')) },
  });
  t.match(await ask('/api/v1/workers/roll', { method: 'POST' }), {
    status: 503,
    body: { error: { code: 'EDGE_ERR_WORKER_START', message: 'it crashed' } },
  });
});

t.test('scale', async (t) => {
  const counts: number[] = [];
  const { post } = await openAdmin(t, { actions: { scale: (count) => counts.push(count) } });
  t.match(await post('/api/v1/workers/scale', '{"count":3}'), { status: 200, body: { count: 3 } });
  t.match(await post('/api/v1/workers/scale', '{"count":256}'), { status: 200 });
  t.same(counts, [3, 256]);
  for (const body of [
    '',
    '{',
    '{}',
    '[]',
    '3',
    '{"count":0}',
    '{"count":257}',
    '{"count":1.5}',
    '{"count":"x"}',
    '{"count":null,"x":1}',
  ])
    t.match(
      await post('/api/v1/workers/scale', body),
      { status: 400, body: { error: { code: 'EDGE_ERR_USAGE' } } },
      body,
    );
  t.same(counts, [3, 256]);
});

t.test('status: everything that one screen needs, and no secret', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b', healthy: false }]);
  rig.pick(1, '10.0.0.1');
  const { ask } = await openAdmin(t, { rig });
  const { status, body, text } = await ask('/api/v1/status');
  t.equal(status, 200);
  t.match(body, {
    version: '1.2.3',
    node: 'v26.0.0',
    engine: 'stream',
    pid: 5,
    region: 'eu',
    listeners: [{ name: '127.0.0.1:8080', app: '' }, { app: 'game' }],
    configuration: {
      EDGEPROXY_REGION: { value: 'eu', source: 'environment' },
      EDGEPROXY_DB_PATH: { value: 'routing.db', source: 'default' },
      EDGEPROXY_ADMIN_TOKEN: { value: '(set, not shown)', source: 'environment' },
    },
    admin: '127.0.0.1:1',
    uptimeMs: 1500,
    readiness: { ready: true, reasons: [] },
    workers: { desired: 1, serving: 1, list: [{ pid: 7, state: 'serving', connections: 1 }] },
    routing: { version: 1, path: '/routing.db', servesForMs: 10, lookedMsAgo: 5, error: '' },
    backends: {
      total: 2,
      states: { serving: 1, unhealthy: 1, gone: 0 },
      busiest: [{ id: 'a', connections: 1 }, { id: 'b' }],
    },
    connections: { active: 1, accepted: 3, refused: { all_full: 2, no_backend: 0 } },
    geoip: { path: '/geo.mmdb', bundled: true, ageSeconds: 60 },
    bindings: { count: 1, max: 10_000, evicted: 0, ttlMs: 1000 },
  });
  t.notMatch(text, /a-secret-of-some-length/);
  const { busiest } = ((await ask('/api/v1/status?busiest=1')).body as { backends: { busiest: unknown[] } }).backends;
  t.equal(busiest.length, 1);
});

t.test('a look at the routing database, when it is asked for', async (t) => {
  const found = { version: 4, changed: true, backends: 2, skipped: 1, error: 'locked', path: '/routing.db' };
  const { ask } = await openAdmin(t, { actions: { look: async () => found } });
  t.same((await ask('/api/v1/routing/look', { method: 'POST' })).body, found);
});

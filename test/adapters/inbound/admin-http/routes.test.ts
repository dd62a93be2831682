import { once } from 'node:events';
import http from 'node:http';
import t from 'tap';
import { EdgeError } from '../../../../src/errors.ts';
import { Rig } from '../../../application/rig.ts';
import { countTurns } from '../../../fixtures/count-turns.ts';
import { until } from '../../../fixtures/until.ts';
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
    workers: [{ pid: 7, incarnation: 1, state: 'serving', connections: 1, resetInMs: null }],
    drainMs: 30_000,
    reset: 0,
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
  t.match(await ask('/api/v1/workers/roll'), { status: 405 }, 'not by a GET, which may be followed by anyone');
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

t.test('a known path with another method: 405, and what it takes', async (t) => {
  const { ask } = await openAdmin(t);
  for (const [method, path, allow] of [
    ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
    ['DELETE', '/api/v1/backends', 'GET, HEAD, OPTIONS'],
    ['PROPFIND', '/metrics', 'GET, HEAD, OPTIONS'],
    ['PUT', '/api/v1/workers/scale?count=1', 'POST, OPTIONS'],
    ['HEAD', '/api/v1/workers/roll', 'POST, OPTIONS'],
  ] as const) {
    const answer = await ask(path, { method });
    t.equal(answer.status, 405, `${method} ${path}`);
    t.equal(answer.headers.allow, allow);
    if (method !== 'HEAD') t.match(answer.body, { error: { code: 'EDGE_ERR_USAGE', message: allow } });
  }
  const options = await ask('/api/v1/workers/scale', { method: 'OPTIONS' });
  t.match(options, { status: 204, text: '' });
  t.equal(options.headers.allow, 'POST, OPTIONS');
  t.equal((await ask('/nowhere', { method: 'OPTIONS' })).status, 404);
});

t.test('HEAD is GET without the body', async (t) => {
  const { ask } = await openAdmin(t);
  for (const path of ['/', '/healthz', '/metrics', '/api/v1/backends', '/api/v1/status']) {
    const get = await ask(path);
    const head = await ask(path, { method: 'HEAD' });
    t.match(head, { status: 200, text: '' }, path);
    t.equal(head.headers['content-type'], get.headers['content-type']);
  }
});

t.test('the index names what there is, and what each takes', async (t) => {
  const { ask } = await openAdmin(t);
  const { endpoints } = (await ask('/')).body as { endpoints: { method: string; path: string }[] };
  t.match(endpoints, [{ method: 'GET', path: '/', what: /./ }]);
  t.match(
    endpoints.find(({ path }) => path === '/api/v1/workers/scale'),
    { method: 'POST', query: [], body: ['count'] },
  );
  for (const { method, path } of endpoints.filter(({ path }) => path !== '/api/v1/explain'))
    if (method === 'GET') t.ok((await ask(path)).status < 504, path);
    else t.not((await ask(path, { method: 'POST' })).status, 404, path);
});

t.test('nothing that is asked for is passed over or taken for something else', async (t) => {
  const calls: unknown[] = [];
  const { ask, post } = await openAdmin(t, {
    actions: {
      roll: async () => calls.push('roll'),
      scale: (count) => calls.push(count),
      look: async () => {
        calls.push('look');
        return { version: 1, changed: false, backends: 0, skipped: 0, path: '/x' };
      },
    },
  });
  for (const [path, message] of [
    ['/healthz?verbose', /there is no verbose here; none is taken here/],
    ['/readyz?a=1', /no a here/],
    ['/api/v1/backends?limt=5', /no limt here; there are: id, app, region, limit, after, state/],
    ['/api/v1/backends?limit=', /limit=: expected a whole number from 1 to 10000/],
    ['/api/v1/backends?limit=10001', /limit=10001/],
    ['/api/v1/backends?limit=1e1', /limit=1e1/],
    ['/api/v1/backends?limit=0x10', /limit=0x10/],
    ['/api/v1/backends?limit=%2010', /limit= 10/],
    ['/api/v1/backends?limit=5&limit=6', /limit=/],
    ['/api/v1/backends?id=a&id=b', /id must be given once/],
    ['/api/v1/backends?region=mars', /region=mars: expected one of sa, us/],
    ['/api/v1/backends?state=up', /state=up: expected one of serving, busy/],
    ['/api/v1/status?busiest=101', /busiest=101/],
    ['/api/v1/explain?ip=10.0.0.1&hasOwnProperty=1', /no hasOwnProperty here/],
    ['/api/v1/explain?ip=10.0.0.1&after=x', /"next"/],
  ] as const)
    t.match(await ask(path), { status: 400, body: { error: { code: 'EDGE_ERR_USAGE', message } } }, path);
  for (const [path, body, message] of [
    ['/api/v1/workers/scale', '{"count":"3"}', /count is "3": expected a whole number/],
    ['/api/v1/workers/scale', '{"count":true}', /count is true/],
    ['/api/v1/workers/scale', '{"count":[3]}', /count is \[3\]/],
    ['/api/v1/workers/scale', '{"count":3,"force":true}', /there is no force here; there are: count/],
    ['/api/v1/workers/scale', '{"Count":3}', /there is no Count here/],
    ['/api/v1/workers/scale', 'null', /must say how many/],
    ['/api/v1/workers/roll', '{"only":1}', /there is no only here/],
    ['/api/v1/workers/roll', '[]', /must be a JSON object/],
    ['/api/v1/routing/look', '{"force":true}', /there is no force here/],
    ['/api/v1/workers/roll?only=1', '{}', /there is no only here/],
  ] as const)
    t.match(await post(path, body), { status: 400, body: { error: { code: 'EDGE_ERR_USAGE', message } } }, path + body);
  for (const type of ['text/plain', 'text/csv', 'application/x-www-form-urlencoded'])
    t.match(
      await post('/api/v1/workers/scale', '{"count":3}', { 'content-type': type }),
      {
        status: 415,
        body: { error: { code: 'EDGE_ERR_USAGE', message: /must be JSON.*content-type: application\/json/ } },
      },
      type,
    );
  t.same(calls, []);
});

t.test('backends page by page', async (t) => {
  const { rig, ask } = await openAdmin(t);
  await rig.serve([{ id: 'a' }, { id: 'b', app: 'game' }, { id: 'c', region: 'us' }]);
  t.match((await ask('/api/v1/backends')).body, { version: 1, total: 3, next: null, backends: [{}, {}, {}] });
  t.match((await ask('/api/v1/backends?limit=2')).body, { total: 3, next: 'b', backends: [{ id: 'a' }, { id: 'b' }] });
  t.match((await ask('/api/v1/backends?limit=2&after=b')).body, { next: null, backends: [{ id: 'c' }] });
  t.match((await ask('/api/v1/backends?region=us&state=serving')).body, { total: 1, backends: [{ id: 'c' }] });
  t.match((await ask('/api/v1/backends?app=')).body, { total: 2 }, 'those of no app');
  t.match((await ask('/api/v1/backends?id=nobody')).body, { total: 0, next: null, backends: [] });
});

t.test('a large page is valid JSON, and others are answered while it is made', async (t) => {
  const { rig, ask } = await openAdmin(t);
  await rig.serve(Array.from({ length: 10_000 }, (_, i) => ({ id: `b"\\${i}` })));
  const turnsSince = countTurns();
  const page = (await ask('/api/v1/backends?limit=10000')).body as { backends: { id: string }[] };
  const turns = turnsSince();
  t.equal(new Set(page.backends.map(({ id }) => id)).size, 10_000);
  t.ok(turns > 50, `${turns} turns`);
});

t.test('large answers under way have a bound, all together; what is refused may be asked for again', async (t) => {
  const { rig, ask, where } = await openAdmin(t);
  await rig.serve(Array.from({ length: 10 }, (_, i) => ({ id: `b${i}` })));
  // Each holds a megabyte for as long as its answer is in the making.
  const many = Array.from({ length: 150 }, () => ask('/api/v1/explain?ip=10.0.0.1&limit=10000'));
  const answers = await Promise.all(many);
  const refused = answers.filter(({ status }) => status === 503);
  t.ok(refused.length > 0 && refused.length < 150, `${refused.length} of 150 were refused`);
  t.match(refused[0], { body: { error: { code: 'EDGE_ERR_OVERLOADED', message: /under way/ } } });
  t.ok(answers.every(({ status }) => status === 200 || status === 503));
  // Nor is anything held for those who hang up while theirs is made.
  for (let i = 0; i < 200; i++) {
    const request = http.get({ ...where, path: '/api/v1/explain?ip=10.0.0.1&limit=10000', agent: false });
    request.on('error', () => {});
    await once(request, 'socket');
    await once(request, 'finish');
    request.destroy();
  }
  await until('nothing is held', async () => {
    const again = await Promise.all(Array.from({ length: 50 }, () => ask('/api/v1/explain?ip=10.0.0.1&limit=10000')));
    return again.every(({ status }) => status === 200);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../../../fixtures/until.ts';
import { openAdmin, portOf, send } from './rig.ts';

const TOKEN = 'a-token-of-some-length';

t.test('every error has the one shape', async (t) => {
  const { ask, post, server } = await openAdmin(t);
  const large = `{"count":1,"x":"${'x'.repeat(20_000)}"}`;
  for (const [what, answer, status] of [
    ['an unknown path', await ask('/nowhere'), 404],
    ['an unknown method', await ask('/healthz', { method: 'DELETE' }), 405],
    ['a path that is no URL', await ask('/%zz'), 400],
    ['a body that is too large', await post('/api/v1/workers/scale', large), 413],
    [
      'a body of another type',
      await ask('/api/v1/workers/scale', { method: 'POST', body: 'x', headers: { 'content-type': 'text/csv' } }),
      415,
    ],
  ] as const) {
    t.equal(answer.status, status, what);
    t.match(answer.body, { error: { code: 'EDGE_ERR_USAGE', message: /\S/ } }, what);
  }
  t.match(await send(portOf(server.name), 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
});

t.test('a failure of ours is a 500, and the server lives on', async (t) => {
  const { ask, defects } = await openAdmin(t, { actions: { roll: () => Promise.reject(new Error('a defect')) } });
  t.match(await ask('/api/v1/workers/roll', { method: 'POST' }), {
    status: 500,
    body: { error: { code: 'EDGE_ERR_INTERNAL', message: 'a defect' } },
  });
  t.same(defects, ['a defect'], 'and is told');
  t.equal((await ask('/healthz')).status, 200);
});

t.test('a failure in the middle of an answer cuts it short and is told; a client that goes away is none', async (t) => {
  let breaks = true;
  function* metrics(): Generator<string> {
    for (let i = 0; i < 1000; i++) yield 'x'.repeat(10_000);
    if (breaks) throw new Error('a defect');
  }
  const { ask, where, server, defects } = await openAdmin(t, { metrics });
  await t.rejects(ask('/metrics'));
  t.same(defects, ['a defect']);
  breaks = false;
  t.equal((await ask('/metrics')).text.length, 10_000_000);
  const request = http.get({ ...where, path: '/metrics', agent: false }, (response) => response.destroy());
  request.on('error', () => {});
  await once(request, 'close');
  await until('the server knows', () => server.connections === 0);
  t.same(defects, ['a defect']);
});

t.test('where a token is asked for, everything needs it', async (t) => {
  const rolls: number[] = [];
  const { ask } = await openAdmin(t, { token: TOKEN, actions: { roll: async () => rolls.push(1) } });
  const paths = [
    '/healthz',
    '/readyz',
    '/metrics',
    '/api/v1/backends',
    '/api/v1/workers',
    '/api/v1/explain?ip=::1',
    '/nowhere',
  ];
  for (const path of paths) {
    const answer = await ask(path);
    t.match(
      answer,
      { status: 401, body: { error: { code: 'EDGE_ERR_USAGE', message: /authorization: Bearer/ } } },
      path,
    );
    t.equal(answer.headers['www-authenticate'], 'Bearer');
  }
  for (const authorization of [
    '',
    TOKEN,
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `bearer ${TOKEN}`,
    `Basic ${TOKEN}`,
  ]) {
    t.equal((await ask('/healthz', { headers: { authorization } })).status, 401, authorization);
    t.equal((await ask('/api/v1/workers/roll', { method: 'POST', headers: { authorization } })).status, 401);
  }
  t.equal(rolls.length, 0);
  const authorization = `Bearer ${TOKEN}`;
  t.equal((await ask('/healthz', { headers: { authorization } })).status, 200);
  t.equal((await ask('/healthz', { headers: { authorization, host: 'pop7.example.com' } })).status, 200, 'by any name');
});

t.test('what is open may be read without the token, and nothing else', async (t) => {
  const { ask } = await openAdmin(t, { token: TOKEN, open: ['/healthz', '/metrics'] });
  const status = async (path: string, method = 'GET', headers = {}) => (await ask(path, { method, headers })).status;
  t.equal(await status('/healthz'), 200);
  t.equal(await status('/healthz', 'HEAD'), 200);
  t.equal(await status('/metrics'), 200);
  t.equal(await status('/healthz?x=1'), 400);
  t.equal(await status('/healthz', 'POST'), 401);
  t.equal(await status('/readyz'), 401);
  t.equal(await status('/'), 401);
  t.equal(await status('/healthz/'), 401);
  t.equal(await status('/api/v1/workers?/healthz'), 401);
  t.equal(await status('//healthz'), 401);
  t.equal(
    await status('/healthz', 'GET', { authorization: 'Bearer another-token-altogether' }),
    401,
    'a wrong one is told',
  );
  t.equal(await status('/healthz', 'GET', { authorization: `Bearer ${TOKEN}` }), 200);
});

t.test('web pages of others are refused, whatever they ask for', async (t) => {
  const rolls: number[] = [];
  const { ask, server } = await openAdmin(t, { actions: { roll: async () => rolls.push(1) } });
  const roll = (headers: Record<string, string>) => ask('/api/v1/workers/roll', { method: 'POST', headers });
  const host = server.name;
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: `https://${host}` },
    { 'sec-fetch-site': 'cross-site' },
  ])
    t.match(
      await roll(headers as Record<string, string>),
      { status: 403, body: { error: { code: 'EDGE_ERR_USAGE' } } },
      JSON.stringify(headers),
    );
  t.equal(rolls.length, 0);
  t.equal((await roll({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).status, 200, 'its own page may');
  t.equal((await roll({})).status, 200, 'and so may a tool');
});

t.test('without a token, only numbers and localhost name us: a name may have been made to resolve here', async (t) => {
  const { ask } = await openAdmin(t);
  for (const host of ['evil.example:8081', 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example'])
    t.match(await ask('/api/v1/backends', { headers: { host, origin: `http://${host}` } }), { status: 403 }, host);
  for (const host of ['localhost', 'localhost:8081', '127.0.0.1:8081', '[::1]:8081', '10.0.0.1'])
    t.match(await ask('/api/v1/backends', { headers: { host } }), { status: 200 }, host);
});

t.test('an address in use is refused', async (t) => {
  const { server } = await openAdmin(t);
  const { openAdminServer } = await import('../../../../src/adapters/inbound/admin-http/server.ts');
  const address = { kind: 'tcp', host: '127.0.0.1', port: portOf(server.name) } as const;
  await t.rejects(openAdminServer({ address, token: null, onDefect: () => {}, routes: [] }), {
    code: 'EDGE_ERR_ADMIN_LISTEN',
    message: /EADDRINUSE.*EDGEPROXY_ADMIN_ADDR/,
  });
});

/** A short path: a unix socket's has room for some hundred bytes. */
function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'admin-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'admin.sock');
}

t.test("on a unix socket, which is its owner's alone", async (t) => {
  const path = socketPath(t);
  const umask = process.umask();
  const { server, ask } = await openAdmin(t, { address: { kind: 'unix', path } });
  t.equal(server.name, `unix:${path}`);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(process.umask(), umask, 'other files are made as before');
  t.equal((await ask('/healthz', { headers: { host: 'edgeproxy' } })).status, 200);
  t.equal((await ask('/healthz', { headers: { origin: 'http://evil.example' } })).status, 403);
  await server.close();
  t.notOk(existsSync(path), 'and it goes with the server');
});

t.test('the socket that a killed process left behind is replaced', async (t) => {
  const path = socketPath(t);
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('listening'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(existsSync(path), 'there it is');
  const { ask } = await openAdmin(t, { address: { kind: 'unix', path } });
  t.equal((await ask('/healthz')).status, 200);
});

t.test('the socket of a process that lives is left to it', async (t) => {
  const path = socketPath(t);
  const greet = (socket: net.Socket) => socket.on('error', () => {}).end('still here');
  const server = net.createServer(greet).listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  await t.rejects(openAdmin(t, { address: { kind: 'unix', path } }), {
    code: 'EDGE_ERR_ADMIN_LISTEN',
    message: /EADDRINUSE/,
  });
  const [text] = await once(net.connect(path), 'data');
  t.equal(String(text), 'still here');
});

t.test("a file that is no socket is nobody's to remove", async (t) => {
  const path = socketPath(t);
  writeFileSync(path, 'precious');
  await t.rejects(openAdmin(t, { address: { kind: 'unix', path } }), { code: 'EDGE_ERR_ADMIN_LISTEN' });
  t.equal(readFileSync(path, 'utf8'), 'precious');
  await t.rejects(openAdmin(t, { address: { kind: 'unix', path: join(path, 'below') } }), {
    code: 'EDGE_ERR_ADMIN_LISTEN',
  });
});

import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { freePort } from '../fixtures/bind-socket.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { runCli } from './run-cli.ts';

t.test('every address that a start could not have is named, with exit code 3', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const free = freePort();
  const env = {
    EDGEPROXY_LISTEN_ADDR: `0.0.0.0:${port},127.0.0.1:${free},[::]:${free},0.0.0.0:${free}`,
    EDGEPROXY_ADMIN_ADDR: `127.0.0.1:${free}`,
  };
  const { code, stdout, stderr } = await runCli(['check'], { cwd: t.testdir(), env });
  t.equal(code, 3);
  t.match(stdout, /^addresses: NOT AVAILABLE$/m);
  t.notMatch(stdout, /^ok/m);
  t.match(stderr, /^edgeproxy: 3 addresses cannot be had:\n/);
  t.match(stderr, new RegExp(`0\\.0\\.0\\.0:${port}: EADDRINUSE: .*pid ${process.pid}\\) has it`));
  t.match(stderr, `0.0.0.0:${free}: it overlaps the listener 127.0.0.1:${free}`);
  t.match(stderr, `the admin address 127.0.0.1:${free}: it overlaps the listener 127.0.0.1:${free}`);

  const json = await runCli(['check', '--json'], { cwd: t.testdir(), env });
  t.equal(json.code, 3);
  t.match(JSON.parse(json.stdout), { ok: false, addresses: { pid: null, error: { code: 'EDGE_ERR_LISTEN' } } });
});

t.test('both families on one port are no conflict', async (t) => {
  const port = freePort();
  const env = { EDGEPROXY_LISTEN_ADDR: `0.0.0.0:${port},[::]:${port}`, EDGEPROXY_ADMIN_ADDR: 'off' };
  t.match(await runCli(['check'], { cwd: t.testdir(), env }), { code: 0, stdout: /^addresses: free$/m });
});

t.test('too many listeners for the descriptor limit', async (t) => {
  const port = freePort();
  const addresses = Array.from({ length: 3 }, (_, i) => `127.0.0.${1 + i}:${port}`).join(',');
  const env = { EDGEPROXY_LISTEN_ADDR: addresses, EDGEPROXY_ADMIN_ADDR: 'off' };
  t.match(await runCli(['check'], { cwd: t.testdir(), env, before: 'ulimit -n 68' }), {
    code: 3,
    stderr: /with 3 listeners each process needs 69 descriptors, and may open 68/,
  });
});

const skip = process.platform !== 'linux' && 'only Linux tells whose a socket is';
t.test(
  'beside the running proxy of the same database its addresses are no conflict, and it is not disturbed',
  { skip },
  async (t) => {
    const backend = await startBackend(t, 'one');
    const addresses = {
      EDGEPROXY_LISTEN_ADDR: `127.0.0.1:${freePort()}`,
      EDGEPROXY_ADMIN_ADDR: `127.0.0.1:${freePort()}`,
    };
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env: addresses });
    const cwd = proxy.directory;
    const same = await runCli(['check'], { cwd, env: addresses });
    t.match(same, { code: 0, stderr: '' });
    t.match(
      same.stdout,
      `addresses: in use by the running proxy of this routing database (pid ${proxy.pid}), and free when it stops`,
    );
    const more = {
      ...addresses,
      EDGEPROXY_LISTEN_ADDR: `0.0.0.0:${proxy.port},127.0.0.1:${freePort()}`,
      EDGEPROXY_DB_PATH: join(cwd, 'routing.db'),
    };
    t.equal((await runCli(['check'], { env: more })).code, 0, 'of a configuration that is to take its place');

    const other = join(t.testdir(), 'other.db');
    writeRoutingDb(other, [{ id: 'one' }]);
    const { code, stderr } = await runCli(['check'], { cwd, env: { ...addresses, EDGEPROXY_DB_PATH: other } });
    t.equal(code, 3, 'another proxy stays where it is');
    t.match(stderr, `edgeproxy primary (pid ${proxy.pid}) has it`);
    t.equal((await greet(proxy.port))?.backend, 'one');
    t.equal(await proxy.metric('edgeproxy_worker_crashes'), 0);
  },
);

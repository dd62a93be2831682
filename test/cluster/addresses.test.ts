import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../fixtures/bind-socket.ts';
import { onEachEngine } from '../fixtures/engines.ts';
import { isAlive, type RunningProxy, type StartOptions, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { connect, drain, greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

// The invariant of addresses: each one that is asked for is served, or none is and the start says why.

/** A proxy on the given addresses, with one backend. */
async function start(t: Test, addresses: string, options: StartOptions = {}): Promise<RunningProxy> {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_LISTEN_ADDR: addresses, ...options.env };
  return startProxy(t, { rows: [{ id: 'one', port: backend.port }], ...options, env });
}

async function greetedAt(host: string, port: number): Promise<string | null> {
  const socket = await connect(port, '127.0.0.1', host);
  const greeting = await readLine(socket);
  socket.destroy();
  return greeting;
}

/** What a proxy that does not come to serve ended with. */
async function refusal(proxy: RunningProxy): Promise<{ code: number | null; message: string; workers: number }> {
  const { code } = await proxy.exited;
  const workers = proxy.log.filter(({ msg }) => msg === 'worker serving' || msg === 'worker died').length;
  return { code, message: proxy.noise.join('\n'), workers };
}

onEachEngine(t, '0.0.0.0 and [::] on one port serve a family each, [::] alone serves both', async (t, engine) => {
  for (const addresses of ['0.0.0.0:P,[::]:P', '[::]:P,0.0.0.0:P', '[::]:P']) {
    const port = freePort();
    const proxy = await start(t, addresses.replaceAll('P', String(port)), { engine });
    // Also when one worker after another takes them.
    for (let client = 0; client < 4; client++) {
      t.equal(await greetedAt('127.0.0.1', port), 'one', `${addresses}, IPv4`);
      t.equal(await greetedAt('::1', port), 'one', `${addresses}, IPv6`);
    }
    t.equal(await proxy.metric('edgeproxy_worker_crashes'), 0);
    t.same(await proxy.stop(), { code: 0, signal: null });
  }
});

onEachEngine(
  t,
  'clients wait from the start for the first worker, and are refused when the stop begins',
  async (t, engine) => {
    const port = freePort();
    const proxy = await start(t, `127.0.0.1:${port}`, { engine, impatient: true });
    // The claim comes before anything is loaded.
    await proxy.logged('routing table loaded');
    const early = await greet(port);
    t.equal(early?.backend, 'one');
    await proxy.logged('ready');
    proxy.signal('SIGTERM');
    await proxy.logged('stopping: draining connections');
    await until('the port to be closed', () =>
      connect(port).then(
        (socket) => socket.destroy() && false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    early!.socket.end();
    t.equal((await drain(early!.socket)).reset, false);
    t.same(await proxy.exited, { code: 0, signal: null });
  },
);

onEachEngine(t, '1,100 listeners serve', async (t, engine) => {
  const port = freePort();
  const hosts = Array.from({ length: 1100 }, (_, i) => `127.77.${Math.floor(i / 250)}.${1 + (i % 250)}`);
  const proxy = await start(t, hosts.map((host) => `${host}:${port}`).join(','), { engine });
  for (const host of [hosts[0]!, hosts[1023]!, hosts[1024]!, hosts[1099]!])
    t.equal(await greetedAt(host, port), 'one', host);
  t.equal(await proxy.metric('edgeproxy_worker_crashes'), 0);
});

t.test('more listeners than a process may have descriptors end the start with a word about it', async (t) => {
  const addresses = Array.from({ length: 200 }, (_, i) => `127.0.0.${1 + i}:0`).join(',');
  const proxy = await start(t, addresses, { before: 'ulimit -n 200', impatient: true });
  t.match(await refusal(proxy), {
    code: 3,
    workers: 0,
    message: /with 200 listeners each process needs 266 descriptors, and may open 200: raise/,
  });
});

t.test('addresses that cannot be had end the start before a worker does, all in one message', async (t) => {
  const running = await start(t, '127.0.0.1:0');
  const admin = new URL(running.admin).host;
  const port = freePort();
  for (const [addresses, adminAddress, expected] of [
    [`127.0.0.1:${port},0.0.0.0:${port}`, 'off', [/overlaps the listener 127/]],
    [`0.0.0.0:${running.port}`, 'off', [/EADDRINUSE: edgeproxy primary \(pid PID\) has it/]],
    [`127.0.0.1:${port}`, `127.0.0.1:${port}`, [/the admin address .* overlaps the listener/]],
    [`[::]:${port}`, `127.0.0.1:${port}`, [/the admin address .* overlaps the listener/]],
    [
      `127.0.0.1:${running.port}`,
      admin,
      [/EADDRINUSE/, /the admin address .*: EADDRINUSE: edgeproxy primary \(pid PID\)/],
    ],
  ] as const) {
    const env = { EDGEPROXY_ADMIN_ADDR: adminAddress, EDGEPROXY_DB_PATH: running.dbPath };
    const { code, workers, message } = await refusal(await start(t, addresses, { impatient: true, env }));
    t.match({ code, workers }, { code: 3, workers: 0 }, addresses);
    for (const part of expected) t.match(message, new RegExp(part.source.replace('PID', String(running.pid))));
  }
  t.equal(await greetedAt('127.0.0.1', running.port), 'one', 'the proxy that runs is not disturbed');
});

t.test('an admin socket of a process that lives is not taken', async (t) => {
  const running = await start(t, '127.0.0.1:0');
  const path = join(running.directory, 'admin');
  const server = net.createServer().listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const env = { EDGEPROXY_ADMIN_ADDR: `unix:${path}` };
  const { code, message } = await refusal(await start(t, '127.0.0.1:0', { impatient: true, env }));
  t.equal(code, 3);
  t.match(message, /the admin address unix:/);
});

t.test('of two proxies that start in the same moment one serves, and the other says who has its address', async (t) => {
  const backend = await startBackend(t, 'one');
  for (let round = 0; round < 4; round++) {
    const port = freePort();
    const adminPort = freePort();
    const pair = await Promise.all(
      // The same address, and overlapping ones.
      ['127.0.0.1', round % 2 === 0 ? '127.0.0.1' : '0.0.0.0'].map((host) =>
        startProxy(t, {
          rows: [{ id: 'one', port: backend.port }],
          impatient: true,
          env: {
            EDGEPROXY_LISTEN_ADDR: `${host}:${port}`,
            EDGEPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
            EDGEPROXY_WORKERS: '1',
          },
        }),
      ),
    );
    const first = await Promise.any(pair.map((proxy) => proxy.exited.then(() => proxy)));
    const winner = pair.find((proxy) => proxy !== first)!;
    const { code, message, workers } = await refusal(first);
    t.match({ code, workers }, { code: 3, workers: 0 });
    t.match(message, new RegExp(`cannot listen on .*: EADDRINUSE: edgeproxy primary \\(pid ${winner.pid}\\) has it`));
    await winner.logged('ready');
    t.ok(isAlive(winner.pid));
    t.equal(await greetedAt('127.0.0.1', port), 'one');
    await winner.stop();
  }
});

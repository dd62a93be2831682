import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { freePort } from '../bench/processes.ts';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { ROOT, startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const skip = process.platform !== 'linux' && 'script(1) of Linux';

t.test(
  'on a terminal a connection is a line, a load says what changed, and a stop what it waits for',
  { skip },
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'edgeproxy-test-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const dbPath = join(directory, 'routing.db');
    const backend = await startBackend(t, 'one');
    writeRoutingDb(dbPath, [{ id: 'one', port: backend.port }]);
    const port = await freePort();
    const child = spawn('script', ['-qec', `exec '${process.execPath}' '${join(ROOT, 'src/main.ts')}'`, '/dev/null'], {
      cwd: directory,
      env: {
        ...CLEAN_ENV,
        SHELL: '/bin/sh',
        TERM: 'dumb',
        NO_COLOR: '1',
        EDGEPROXY_LISTEN_ADDR: `127.0.0.1:${port}`,
        EDGEPROXY_ADMIN_ADDR: 'off',
        EDGEPROXY_WORKERS: '1',
        EDGEPROXY_DB_RELOAD_SECS: '1',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    // script(1) ends what it runs when it is asked to end, and leaves it behind when it is killed.
    t.teardown(() => child.kill('SIGTERM'));
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    const said = (what: RegExp) =>
      until(
        String(what),
        () => what.test(text),
        () => text,
      );
    await said(/^\d\d:\d\d:\d\d ready: /m);
    await said(/^\d\d:\d\d:\d\d routing table 1 loaded: 1 backend, \+1 -0 ~0 \(\+one\)\r?$/m);
    const client = await greet(port);
    client?.socket.end('x');
    await said(/^\d\d:\d\d:\d\d 127\.0\.0\.1 -> one picked finished \d+ ms \d+\/\d+ B\r?$/m);
    writeRoutingDb(dbPath, [{ id: 'one', port: backend.port, weight: 2 }, { id: 'two' }]);
    await said(/routing table 2 loaded: 2 backends, \+1 -0 ~1 \(\+two ~one\)/);
    // Ctrl-C, as the terminal hands it on.
    child.stdin.write('\x03');
    await said(/stopping \(SIGINT\), draining: up to 30 s, a second signal ends it now/);
    await exited;
    t.notMatch(text, '{', 'no JSON');
  },
);

t.test('JSON tells the time as a number, or as ISO 8601', async (t) => {
  const env = { EDGEPROXY_WORKERS: '1' };
  const backend = await startBackend(t, 'one');
  const rows = [{ id: 'one', port: backend.port }];
  const kinds: readonly (readonly [string, (time: unknown) => boolean])[] = [
    ['epoch', (time) => Number.isInteger(time)],
    ['iso', (time) => typeof time === 'string' && new Date(time).toISOString() === time],
  ];
  for (const [EDGEPROXY_LOG_TIME, isOfKind] of kinds) {
    const proxy = await startProxy(t, { env: { ...env, EDGEPROXY_LOG_TIME }, rows });
    (await greet(proxy.port))?.socket.destroy();
    await proxy.logged('connection');
    t.ok(
      proxy.log.every(({ time }) => isOfKind(time)),
      EDGEPROXY_LOG_TIME,
    );
    await proxy.stop();
  }
});

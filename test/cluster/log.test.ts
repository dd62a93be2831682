import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../bench/processes.ts';
import { ROOT } from '../fixtures/proxy.ts';
import { connect, drain } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

/** A proxy whose stdout is the test's to deal with. Its admin API is on a unix socket, since nobody reads its address. */
async function start(t: Test, stdout: 'pipe' | number): Promise<{ child: ChildProcess; port: number; admin: string }> {
  // A short path: a unix socket's may have 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'edgeproxy-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const admin = join(directory, 'admin');
  const env = {
    EDGEPROXY_LISTEN_ADDR: `127.0.0.1:${port}`,
    EDGEPROXY_ADMIN_ADDR: `unix:${admin}`,
    EDGEPROXY_WORKERS: '1',
  };
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts')], {
    cwd: directory,
    env,
    stdio: ['ignore', stdout, 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await until('a worker to serve', async () => (await metric(admin, 'edgeproxy_workers{state="serving"}')) === 1);
  return { child, port, admin };
}

async function metric(admin: string, name: string): Promise<number> {
  const text = await new Promise<string>((resolve) => {
    const request = http.get({ socketPath: admin, path: '/metrics', headers: { host: 'localhost' } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    });
    request.on('error', () => resolve(''));
  });
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

/** Clients without a backend: each makes an access record. */
async function turnedAway(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = await connect(port);
    socket.end();
    await drain(socket);
  }
}

t.test('a reader of the log that stalls does not hold up the proxy, and misses nothing', async (t) => {
  const { child, port, admin } = await start(t, 'pipe');
  // More than the pipe takes: some hundred bytes each.
  const clients = 2500;
  await turnedAway(port, clients);
  child.kill('SIGUSR2');
  await until(
    'the roll, whose records wait too',
    async () => (await metric(admin, 'edgeproxy_workers{state="serving"}')) === 1,
  );
  await turnedAway(port, 1);
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until('every record', () => text.split('"msg":"connection"').length - 1 === clients + 1);
  t.equal(await metric(admin, 'edgeproxy_log_dropped_total'), 0);
  child.kill('SIGTERM');
  t.same(await once(child, 'exit'), [0, null]);
});

for (const [what, signals, code] of [
  ['a stop', 1, 0],
  ['a stop at once', 2, 1],
] as const) {
  t.test(`${what} ends as it should though the reader of the log stalls`, async (t) => {
    const { child, port } = await start(t, 'pipe');
    // More than the pipe takes.
    await turnedAway(port, 2500);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    if (signals === 2) {
      // While it waits for the reader.
      await until('the port to be closed', () =>
        connect(port).then(
          (socket) => void socket.destroy(),
          () => true,
        ),
      );
      child.kill('SIGTERM');
    }
    t.same(await exit, [code, null]);
  });
}

t.test(
  'a full disk under the log costs its lines, and nothing else',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const full = openSync('/dev/full', 'w');
    const { child, port, admin } = await start(t, full);
    closeSync(full);
    await turnedAway(port, 200);
    await until('lines to be counted as lost', async () => (await metric(admin, 'edgeproxy_log_dropped_total')) >= 200);
    await turnedAway(port, 1);
    child.kill('SIGTERM');
    t.same(await once(child, 'exit'), [0, null]);
  },
);

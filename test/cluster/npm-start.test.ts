import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { isAlive, kill, ROOT, RunningProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { drain, greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

// The invariant of `npm start`: whoever stops npm, an init system or a container's, stops the proxy in an orderly way.

const NAMESPACE = ['unshare', '--pid', '--fork', '--mount-proc'] as const;
const probe = spawnSync(NAMESPACE[0], [...NAMESPACE.slice(1), 'true']);
const noNamespace = probe.status !== 0 && 'this needs root on Linux, for a process namespace';

/** `npm start` in this checkout, behind `wrapper`, with a directory of its own. */
function npmStart(t: Test, backendPort: number, wrapper: readonly string[]): RunningProxy {
  const directory = mkdtempSync(join(tmpdir(), 'edgeproxy-test-'));
  const dbPath = join(directory, 'routing.db');
  writeRoutingDb(dbPath, [{ id: 'one', port: backendPort }]);
  const [program, ...args] = [...wrapper, 'npm', 'start'];
  const child = spawn(program!, args, {
    cwd: ROOT,
    env: {
      ...CLEAN_ENV,
      HOME: directory,
      EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0',
      EDGEPROXY_ADMIN_ADDR: '127.0.0.1:0',
      EDGEPROXY_DB_PATH: dbPath,
      EDGEPROXY_WORKERS: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that what a failed test leaves can be ended as a whole.
    detached: true,
  });
  const proxy = new RunningProxy(directory, child);
  t.teardown(async () => {
    kill(-child.pid!);
    await proxy.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  return proxy;
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);

for (const [name, wrapper, skip] of [
  ['npm start', [], process.platform !== 'linux' && 'this reads /proc'],
  ['npm start as PID 1', NAMESPACE, noNamespace],
] as const) {
  t.test(`${name} hands SIGTERM on: the proxy drains, and npm exits with 0`, { skip }, async (t) => {
    const backend = await startBackend(t, 'one');
    const proxy = npmStart(t, backend.port, wrapper);
    const { pid } = await proxy.logged('ready');
    const npm = wrapper.length === 0 ? proxy.pid : childrenOf(proxy.pid)[0]!;
    const client = await greet(proxy.port);
    t.equal(client?.backend, 'one');
    if (wrapper.length === 0) t.same(childrenOf(npm), [pid], 'no shell in between');

    process.kill(npm, 'SIGTERM');
    await proxy.logged('stopping: draining connections');
    client!.socket.write('still here\n');
    t.equal(await readLine(client!.socket), 'still here');
    client!.socket.end();
    t.same(await drain(client!.socket), { bytes: Buffer.alloc(0), reset: false });

    t.same(await proxy.exited, { code: 0, signal: null });
    await proxy.logged('stopped');
    await until('npm to be gone', () => !isAlive(npm));
  });
}

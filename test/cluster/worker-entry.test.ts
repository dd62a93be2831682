import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CONFIG_VERSION } from '../../src/ipc/worker-config.ts';
import { INCARNATION_VARIABLE, PRIMARY_VARIABLE } from '../../src/variable.ts';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { ROOT } from '../fixtures/proxy.ts';

interface Said {
  readonly edgeproxy: string;
  readonly reason?: string;
}

/** A worker of a primary that this test plays; resolves when it asks for its configuration. */
async function start(t: Test): Promise<{ worker: ChildProcess; said: Said[]; exited: Promise<unknown[]> }> {
  const worker = fork(join(ROOT, 'workers/proxy.ts'), [], {
    env: { ...CLEAN_ENV, [INCARNATION_VARIABLE]: '1', [PRIMARY_VARIABLE]: String(process.pid) },
    execArgv: ['--disable-sigusr1'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', 'pipe'],
  });
  t.teardown(() => void worker.kill('SIGKILL'));
  const said: Said[] = [];
  worker.on('message', (message) => said.push(message as Said));
  const exited = once(worker, 'exit');
  await once(worker, 'message');
  t.same(said, [{ edgeproxy: 'loaded' }]);
  return { worker, said, exited };
}

t.test('a worker that cannot do with the configuration says why, and ends', async (t) => {
  const { worker, said, exited } = await start(t);
  worker.send({ edgeproxy: 'config', version: CONFIG_VERSION, config: { engine: 'stream' } });
  t.same(await exited, [1, null]);
  t.match(
    said.find(({ edgeproxy }) => edgeproxy === 'failed')?.reason,
    /lacks what this worker needs \(connectTimeoutMs, /,
  );
});

t.test('a worker that is to drain before it has its configuration ends at once: it holds nobody', async (t) => {
  const { worker, exited } = await start(t);
  worker.send({ edgeproxy: 'drain' });
  t.same(await exited, [0, null]);
});

t.test('a worker does not outlive the channel to its primary, configured or not', async (t) => {
  const { worker, exited } = await start(t);
  worker.disconnect();
  t.same(await exited, [0, null]);
});

t.test('a listener that the worker does not know how to serve is refused by name', async (t) => {
  const { worker, said, exited } = await start(t);
  const timeouts = { connectTimeoutMs: 1000, idleTimeoutMs: 0, halfCloseTimeoutMs: 0, unackedTimeoutMs: 0 };
  const config = {
    engine: 'stream',
    connectAttempts: 1,
    maxConnections: 10,
    shutdownTimeoutMs: 0,
    heartbeatTimeoutMs: 60_000,
  };
  worker.send({ edgeproxy: 'config', version: CONFIG_VERSION, config: { ...config, ...timeouts } });
  const spec = { name: 'secure', host: '127.0.0.1', port: 443, app: '', tls: {} };
  worker.send({ edgeproxy: 'listen', listener: 0, version: 1, spec, last: true });
  t.same(await exited, [1, null]);
  t.equal(
    said.find(({ edgeproxy }) => edgeproxy === 'failed')?.reason,
    'listener secure asks for tls, which this release does not know',
  );
});

import { closeSync, copyFileSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { kill, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

interface Readiness {
  readonly ready: boolean;
  readonly reasons: string[];
}

const readyz = (proxy: RunningProxy) => proxy.get<Readiness>('/readyz');

/** A proxy that runs with a Node of its own, which the test may put another file in the place of. */
async function withOwnNode(t: Test) {
  const backend = await startBackend(t, 'one');
  const node = join(t.testdir(), 'node');
  copyFileSync(process.execPath, node);
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], node });
  return { proxy, node };
}

/** Whether a client is served, and goes. */
async function visit(port: number): Promise<boolean> {
  const client = await greet(port);
  client?.socket.destroy();
  return client !== null;
}

async function killAll(proxy: RunningProxy): Promise<void> {
  for (const { pid } of await proxy.workers()) kill(pid);
}

/** What `npm ci` under a running proxy does to the binary, at its worst moments. */
for (const [what, code, spoil] of [
  [
    'is being written',
    'ETXTBSY',
    (path: string) => {
      copyFileSync(process.execPath, path);
      return openSync(path, 'r+');
    },
  ],
  ['is gone', 'ENOENT', () => null],
] as const) {
  t.test(`workers that cannot be started, since the binary ${what}, come back when it is whole`, async (t) => {
    const { proxy, node } = await withOwnNode(t);
    rmSync(node);
    const held = spoil(node);
    await killAll(proxy);
    await proxy.logged('worker died', ({ reason }) => reason === `could not be started: ${code}`);
    const { ready, reasons } = await until('the reason', async () => {
      const readiness = await readyz(proxy);
      return readiness.reasons.length > 1 && readiness;
    });
    t.notOk(ready);
    t.match(reasons, [/no worker accepts/, new RegExp(`could not be started: ${code}`)]);

    if (held !== null) closeSync(held);
    copyFileSync(process.execPath, `${node}.whole`);
    renameSync(`${node}.whole`, node);
    await until('both workers', async () => (await proxy.serving()).length === 2);
    t.ok(await visit(proxy.port), 'and clients are served');
    t.same(await proxy.stop(), { code: 0, signal: null });
  });
}

t.test('a manager that went away before it could be told that all is ready is no failure', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], ipc: 'leave' });
  t.ok(await visit(proxy.port));
  t.equal(await proxy.metric('edgeproxy_internal_errors_total{turn="unexpected"}'), 0);
  t.same(await proxy.stop(), { code: 0, signal: null });
});

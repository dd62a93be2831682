import { readFileSync } from 'node:fs';
import t from 'tap';
import { SKIPPED } from '../fixtures/engines.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';

const WORKERS = 6;
const CLIENTS = 300;

/** How often a process has gone to sleep by itself: each time something had woken it. */
function sleeps(pid: number): number {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

t.test('a client wakes the worker that takes it, and the others sleep on', { skip: SKIPPED.epoll }, async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port }],
    env: { EDGEPROXY_WORKERS: String(WORKERS) },
    engine: 'epoll',
  });
  const pids = (await proxy.serving()).map(({ pid }) => pid);
  const before = pids.map(sleeps);
  for (let n = 0; n < CLIENTS; n++) (await greet(proxy.port))!.socket.destroy();
  const woken = pids.map((pid, i) => sleeps(pid) - before[i]!).sort((a, b) => b - a);
  t.ok(woken[0]! > CLIENTS, 'the one that takes them, all along');
  // The next one may be woken when a client comes while that one is still busy with the one before.
  const others = woken.slice(2).reduce((sum, each) => sum + each, 0);
  t.ok(others < CLIENTS / 2, `${woken.join(', ')} times`);
});

t.test('a few long connections that come one by one are spread all the same', { skip: SKIPPED.epoll }, async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port }],
    env: { EDGEPROXY_WORKERS: '4' },
    engine: 'epoll',
  });
  for (let n = 0; n < 16; n++) {
    const client = (await greet(proxy.port))!;
    t.teardown(() => client.socket.destroy());
  }
  const held = (await proxy.serving()).map(({ connections }) => connections);
  t.ok(Math.max(...held) <= 8, `they hold ${held.join(', ')}`);
});

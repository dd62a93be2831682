import t, { type Test } from 'tap';
import { StopProxy } from '../../src/application/stop-proxy.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { silentLog } from '../fixtures/silent-log.ts';
import { running, settled } from './stage.ts';

const nothing = async () => {};

async function setUp(t: Test, close: () => Promise<unknown> = nothing, recorded: () => Promise<unknown> = nothing) {
  const { launcher, supervisor, pass } = await running(t, 1);
  const boundary = countingBoundary();
  const left: string[] = [];
  let ports = 'open';
  const stop = new StopProxy({
    drainTimeoutMs: 30_000,
    supervisor,
    log: silentLog,
    boundary,
    connections: () => 0,
    closePorts: () => {
      ports = 'closed';
      throw new Error('what closing ports may meet ends no stop');
    },
    recorded,
    close,
    leave: (exitCode, isIdle) => left.push(`${exitCode} ${isIdle ? 'idle' : 'busy'}`),
  });
  return { stop, launcher, left, pass, boundary, ports: () => ports };
}

t.test('a drain closes the ports, waits for the workers, ends the rest, and leaves with 0', async (t) => {
  const { stop, launcher, left, boundary, ports } = await setUp(t);
  t.notOk(stop.isStopping);
  void stop.drain('SIGTERM');
  t.ok(stop.isStopping);
  t.equal(ports(), 'closed');
  t.equal(boundary.counts().get('signal'), 1);
  await settled();
  t.same(left, [], 'not before its workers');
  launcher.worker(1).exits();
  await settled();
  t.same(left, ['0 idle']);
});

t.test('what does not end, or fails to, is not waited for', async (t) => {
  const hanging = await setUp(t, () => new Promise(() => {}));
  void hanging.stop.drain('SIGTERM');
  hanging.launcher.worker(1).exits();
  await settled();
  t.same(hanging.left, []);
  hanging.pass(500);
  await settled();
  t.same(hanging.left, ['0 busy']);
});

t.test('nor what fails to end', async (t) => {
  const failing = await setUp(t, () => Promise.reject(new Error('a defect')));
  void failing.stop.drain('SIGTERM');
  failing.launcher.worker(1).exits();
  await settled();
  t.same(failing.left, ['0 busy']);
  t.equal(failing.boundary.counts().get('signal'), 2);
});

t.test('at once: the workers are killed and waited for, and whichever end comes first leaves with 1', async (t) => {
  const { stop, launcher, left } = await setUp(t);
  void stop.drain('SIGTERM');
  void stop.atOnce('SIGTERM');
  t.equal(launcher.worker(1).killed, 'stopped at once');
  await settled();
  t.same(left, [], 'their ends give the records of what they cut');
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  await settled();
  t.same(
    left.map((each) => each[0]),
    ['1', '1'],
  );
});

t.test('a worker that not even a kill ends is waited for a second, and a third signal waits for nothing', async (t) => {
  const { stop, left, pass } = await setUp(t);
  void stop.drain('SIGTERM');
  void stop.atOnce('SIGTERM');
  await settled();
  void stop.atOnce('SIGTERM');
  t.same(left, ['1 busy']);
  pass(1_000);
  await settled();
  t.same(left, ['1 busy', '1 busy']);
});

for (const [how, code] of [
  ['a drain', 0],
  ['an end at once', 1],
] as const) {
  t.test(`${how} waits for the records of connections that were cut, and not for ever`, async (t) => {
    const { stop, launcher, left, pass } = await setUp(t, nothing, () => new Promise(() => {}));
    void stop.drain('SIGTERM');
    if (code === 1) void stop.atOnce('SIGTERM');
    launcher.worker(1).exits({ signal: 'SIGKILL' });
    await settled();
    t.same(left, []);
    pass(2000);
    await settled();
    t.equal(left[0]?.[0], String(code));
  });
}

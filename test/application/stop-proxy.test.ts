import t, { type Test } from 'tap';
import { Modules } from '../../src/application/modules.ts';
import { StopProxy } from '../../src/application/stop-proxy.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { silentLog } from '../fixtures/silent-log.ts';
import { running, settled } from './stage.ts';

const nothing = async () => {};

interface Given {
  readonly stop?: () => unknown;
  readonly recorded?: () => Promise<unknown>;
  readonly lameDuckMs?: number;
}

/** A proxy of three modules: ports, records and workers. */
async function setUp(t: Test, { stop: end = nothing, recorded = nothing, lameDuckMs = 0 }: Given = {}) {
  const { launcher, supervisor, pass } = await running(t, 1);
  const boundary = countingBoundary();
  const left: string[] = [];
  let ports = 'open';
  const modules = new Modules(
    [
      {
        name: 'ports',
        start: nothing,
        stop: end,
        closePorts: () => {
          ports = 'closed';
          throw new Error('what closing ports may meet ends no stop');
        },
      },
      { name: 'records', start: nothing, stop: nothing, drain: recorded, cut: recorded },
      {
        ...{ name: 'workers', start: nothing, stop: nothing },
        drain: () => supervisor.stop(),
        cut: () => supervisor.killAll(),
      },
    ],
    boundary,
  );
  await modules.start(500);
  const stop = new StopProxy({
    ...{ modules, lameDuckMs, drainTimeoutMs: 30_000, log: silentLog, connections: () => 0 },
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
  const hanging = await setUp(t, { stop: () => new Promise(() => {}) });
  void hanging.stop.drain('SIGTERM');
  hanging.launcher.worker(1).exits();
  await settled();
  t.same(hanging.left, []);
  hanging.pass(500);
  await settled();
  t.same(hanging.left, ['0 busy']);
});

t.test('nor what fails to end', async (t) => {
  const failing = await setUp(t, { stop: () => Promise.reject(new Error('a defect')) });
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

t.test(
  'a worker that not even a kill ends is waited for two seconds, and a third signal waits for nothing',
  async (t) => {
    const { stop, left, pass } = await setUp(t);
    void stop.drain('SIGTERM');
    void stop.atOnce('SIGTERM');
    await settled();
    void stop.atOnce('SIGTERM');
    t.same(left, ['1 busy']);
    pass(2_000);
    await settled();
    t.same(left, ['1 busy', '1 busy']);
  },
);

t.test('an end at once waits for the records of connections that were cut, and not for ever', async (t) => {
  const { stop, launcher, left, pass } = await setUp(t, { recorded: () => new Promise(() => {}) });
  void stop.drain('SIGTERM');
  void stop.atOnce('SIGTERM');
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  await settled();
  t.same(left, []);
  pass(2000);
  await settled();
  t.same(left, ['1 busy']);
});

t.test('a lame duck is stopping, and serves: its ports are open, its workers accept', async (t) => {
  const { stop, launcher, left, pass, ports } = await setUp(t, { lameDuckMs: 3000 });
  void stop.drain('SIGTERM');
  t.ok(stop.isStopping);
  pass(2999);
  await settled();
  t.equal(ports(), 'open');
  t.same(launcher.told(), []);
  pass(1);
  await settled();
  t.equal(ports(), 'closed');
  t.same(launcher.told(), ['1 drains']);
  launcher.worker(1).exits();
  await settled();
  t.same(left, ['0 idle']);
});

t.test('a second signal ends a lame duck at once', async (t) => {
  const { stop, launcher, left } = await setUp(t, { lameDuckMs: 3_600_000 });
  void stop.drain('SIGTERM');
  void stop.atOnce('SIGTERM');
  t.equal(launcher.worker(1).killed, 'stopped at once');
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  await settled();
  t.same(left, ['1 busy']);
});

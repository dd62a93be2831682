import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { ShareClients } from '../../src/application/share-clients.ts';
import { WorkerSupervisor } from '../../src/application/supervise-workers.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { silentLog } from '../fixtures/silent-log.ts';
import { ScriptedLauncher } from './scripted-launcher.ts';

const DRAIN_MS = 30_000;

interface Stage {
  readonly launcher: ScriptedLauncher;
  readonly supervisor: WorkerSupervisor;
  readonly held: Map<number, number>;
  /** Lets so much time pass, for timers and clock alike. */
  readonly pass: (ms: number) => void;
}

/** A supervisor of scripted processes; its timers run when the test lets time pass. */
function stage(t: Test, workers: number): Stage {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const launcher = new ScriptedLauncher();
  const held = new Map<number, number>();
  let now = 0;
  const boundary = countingBoundary();
  const heldBy = (incarnation: number) => held.get(incarnation) ?? 0;
  const supervisor = new WorkerSupervisor({
    launcher,
    clock: { now: () => now },
    log: silentLog,
    workers,
    heldBy,
    shares: new ShareClients(heldBy, boundary),
    boundary,
    drainTimeoutMs: DRAIN_MS,
  });
  const pass = (ms: number) => {
    now += ms;
    mock.timers.tick(ms);
  };
  return { launcher, supervisor, held, pass };
}

/** The same, with every worker accepting for long enough to count as stable. */
async function running(t: Test, workers: number): Promise<Stage> {
  const made = stage(t, workers);
  const started = made.supervisor.start();
  for (let incarnation = 1; incarnation <= workers; incarnation++) made.launcher.worker(incarnation).accepts();
  await started;
  made.pass(10_000);
  made.launcher.told();
  return made;
}

/** Lets what awaits a promise that was just settled run. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

t.test('the start is over when every worker accepts', async (t) => {
  const { launcher, supervisor } = stage(t, 2);
  let started = false;
  const starting = supervisor.start().then(() => {
    started = true;
  });
  t.same(launcher.told(), ['1 starts', '2 starts']);
  t.match(supervisor.health(), { desired: 2, starting: 2, serving: 0, draining: 0, crashes: 0, restartInMs: 0 });
  launcher.worker(1).accepts();
  await settled();
  t.notOk(started);
  launcher.worker(2).accepts();
  await starting;
  t.same(
    supervisor.list().map(({ pid, incarnation, state }) => [pid, incarnation, state]),
    [
      [1001, 1, 'serving'],
      [1002, 2, 'serving'],
    ],
  );
});

t.test('the start is over with fewer workers, when fewer are desired meanwhile', async (t) => {
  const { launcher, supervisor } = stage(t, 2);
  const starting = supervisor.start();
  launcher.worker(1).accepts();
  supervisor.scale(1);
  await starting;
  t.pass('resolved');
});

t.test('a roll replaces one worker at a time, each after its successor accepts', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  const rolling = supervisor.roll();
  t.same(launcher.told(), ['3 starts'], 'the predecessor serves on');
  await t.rejects(supervisor.roll(), { code: 'EDGE_ERR_BUSY' });
  launcher.worker(3).accepts();
  await settled();
  t.same(launcher.told(), ['3 accepts', '1 drains', '4 starts']);
  launcher.worker(4).accepts();
  t.equal(await rolling, 2);
  t.same(launcher.told(), ['4 accepts', '2 drains']);
  t.match(supervisor.health(), { serving: 2, draining: 2 });
  launcher.worker(1).exits();
  launcher.worker(2).exits();
  t.same(launcher.told(), ['1 exits', '2 exits'], 'and nobody is started in their place');
  const again = supervisor.roll();
  launcher.worker(5).accepts();
  await settled();
  launcher.worker(6).accepts();
  t.equal(await again, 2, 'a further roll is possible');
});

t.test('a successor that fails ends the roll, and its predecessor serves on', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  const rolling = supervisor.roll();
  launcher.worker(3).exits({ code: 1, reason: 'cannot listen' });
  await t.rejects(rolling, { code: 'EDGE_ERR_WORKER_START', message: /cannot listen/ });
  t.same(launcher.told(), ['3 starts', '3 exits']);
  t.match(supervisor.health(), { serving: 2, draining: 0, lastCrash: 'cannot listen' });
  pass(60_000);
  t.same(launcher.told(), [], 'no worker is missing');
  const again = supervisor.roll();
  launcher.worker(4).accepts();
  await settled();
  t.same(launcher.told(), ['4 starts', '4 accepts', '1 drains', '5 starts']);
  launcher.worker(5).accepts();
  t.equal(await again, 2);
});

t.test('a successor that hangs is killed, which ends the roll', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 1);
  const rolling = supervisor.roll();
  pass(30_000);
  t.match(launcher.worker(2).killed, /did not accept within 30000 ms/);
  launcher.worker(2).exits({ signal: 'SIGKILL', reason: launcher.worker(2).killed });
  await t.rejects(rolling, { code: 'EDGE_ERR_WORKER_START' });
  t.match(supervisor.list(), [{ incarnation: 1, state: 'serving' }]);
});

t.test('a worker that dies while its successor starts is not replaced twice', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 1);
  const rolling = supervisor.roll();
  launcher.worker(1).exits({ signal: 'SIGSEGV' });
  pass(60_000 / 4);
  t.same(launcher.told(), ['1 starts'.replace('1', '2'), '1 exits']);
  launcher.worker(2).accepts();
  t.equal(await rolling, 1);
  t.match(supervisor.list(), [{ incarnation: 2, state: 'serving' }]);
});

t.test('a worker killed from outside is replaced at once', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  for (let incarnation = 1; incarnation <= 6; incarnation++) {
    launcher.worker(incarnation).exits({ signal: 'SIGKILL' });
    launcher.worker(incarnation + 2).accepts();
  }
  t.equal(launcher.workers.length, 8);
  t.match(supervisor.health(), { serving: 2, crashes: 0, restartInMs: 0 });
});

t.test('crashes in a row are backed off, up to a cap, and health tells', async (t) => {
  const { launcher, supervisor, pass } = stage(t, 1);
  void supervisor.start();
  const delays = [];
  for (let incarnation = 1; incarnation <= 10; incarnation++) {
    launcher.worker(incarnation).exits({ code: 1 });
    const { restartInMs, crashes, lastCrash } = supervisor.health();
    t.equal(crashes, incarnation);
    t.equal(lastCrash, 'exit code 1');
    delays.push(restartInMs);
    pass(restartInMs - 1);
    t.equal(launcher.workers.length, incarnation, 'not before its time');
    t.equal(supervisor.health().restartInMs, 1);
    pass(1);
  }
  t.same(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  launcher.worker(11).accepts();
  pass(5_000);
  t.match(supervisor.health(), { crashes: 0, serving: 1 }, 'a worker that stays ends the loop');
});

t.test('a crash of a worker that had served for long is backed off as the first one', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 1);
  for (let incarnation = 1; incarnation <= 3; incarnation++) {
    launcher.worker(incarnation).exits({ signal: 'SIGSEGV' });
    t.match(supervisor.health(), { crashes: 1, restartInMs: 100, lastCrash: 'signal SIGSEGV' });
    pass(100);
    launcher.worker(incarnation + 1).accepts();
    pass(6_000);
  }
});

t.test('a crash of a stable worker is no part of a loop that others are in', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  for (let incarnation = 3; incarnation <= 5; incarnation++) {
    launcher.worker(incarnation === 3 ? 1 : incarnation - 1).exits({ code: 1 });
    pass(supervisor.health().restartInMs);
  }
  t.equal(supervisor.health().crashes, 3);
  launcher.worker(2).exits({ code: 1 });
  t.match(supervisor.health(), { crashes: 1, restartInMs: 100 });
});

t.test('a worker that crashes at its start is no reason to drain the others', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  launcher.worker(1).exits({ code: 1 });
  pass(100);
  launcher.worker(3).exits({ code: 1 });
  launcher.worker(2).exits({ signal: 'SIGKILL' });
  pass(200);
  pass(400);
  t.match(supervisor.health(), { starting: 2 }, 'both are started, one after the other');
  t.notOk(launcher.workers.some(({ drained }) => drained));
});

t.test('more workers start at once; of too many, the least busy ones drain', async (t) => {
  const { launcher, supervisor, held } = await running(t, 2);
  supervisor.scale(4);
  t.same(launcher.told(), ['3 starts', '4 starts']);
  launcher.worker(3).accepts();
  launcher.worker(4).accepts();
  launcher.told();
  for (const [incarnation, connections] of [
    [1, 50],
    [2, 3],
    [3, 20],
    [4, 7],
  ] as const)
    held.set(incarnation, connections);
  supervisor.scale(2);
  t.same(launcher.told(), ['2 drains', '4 drains']);
  t.equal(supervisor.desired, 2);
  t.match(supervisor.list(), [
    { incarnation: 1, state: 'serving', connections: 50 },
    { incarnation: 2, state: 'draining', connections: 3 },
    { incarnation: 3, state: 'serving', connections: 20 },
    { incarnation: 4, state: 'draining', connections: 7 },
  ]);
  launcher.worker(2).exits();
  t.same(launcher.told(), ['2 exits']);
  supervisor.scale(3);
  t.same(launcher.told(), ['5 starts'], 'a draining worker does not count');
});

t.test('fewer workers desired than crash: what was held back does not start', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  launcher.worker(1).exits({ code: 1 });
  supervisor.scale(1);
  t.equal(supervisor.health().restartInMs, 0);
  pass(60_000);
  t.same(launcher.told(), ['1 exits']);
});

t.test('a worker that asks to go is drained after its successor accepts', async (t) => {
  const { launcher } = await running(t, 1);
  launcher.worker(1).events.retiring();
  launcher.worker(1).events.retiring();
  t.same(launcher.told(), ['2 starts'], 'once, however often it asks');
  launcher.worker(2).accepts();
  await settled();
  t.same(launcher.told(), ['2 accepts', '1 drains']);
});

t.test('a worker whose successor fails may ask again', async (t) => {
  const { launcher } = await running(t, 1);
  launcher.worker(1).events.retiring();
  launcher.worker(2).exits({ code: 1 });
  await settled();
  launcher.worker(1).events.retiring();
  launcher.worker(3).accepts();
  await settled();
  t.same(launcher.told(), ['2 starts', '2 exits', '3 starts', '3 accepts', '1 drains']);
});

t.test('a draining worker that does not go is killed, some grace after its deadline', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  supervisor.scale(1);
  pass(DRAIN_MS);
  t.equal(launcher.worker(1).killed, '', 'its last reports get their time');
  pass(2_000);
  t.match(launcher.worker(1).killed, /32000 ms/);
  launcher.worker(1).exits({ signal: 'SIGKILL', reason: launcher.worker(1).killed, cut: 3 });
  t.match(supervisor.health(), { serving: 1, crashes: 0 }, 'that is no crash');
});

t.test('a stop drains every worker and is over when the last one is gone', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  let stopped = false;
  const stopping = supervisor.stop().then(() => {
    stopped = true;
  });
  t.same(launcher.told(), ['1 drains', '2 drains']);
  t.throws(() => supervisor.scale(4), { code: 'EDGE_ERR_BUSY' });
  await t.rejects(supervisor.roll(), { code: 'EDGE_ERR_BUSY' });
  launcher.worker(1).events.retiring();
  launcher.worker(1).exits();
  await settled();
  t.notOk(stopped);
  launcher.worker(2).exits({ code: 1 });
  await stopping;
  t.same(launcher.told(), ['1 exits', '2 exits'], 'nobody is replaced any more');
});

t.test('a stop during a crash loop starts nobody', async (t) => {
  const { launcher, supervisor, pass } = stage(t, 1);
  void supervisor.start();
  launcher.worker(1).exits({ code: 1 });
  await supervisor.stop();
  pass(60_000);
  t.same(launcher.told(), ['1 starts', '1 exits']);
});

t.test('a stop during a roll drains the successor as well, and ends the roll', async (t) => {
  const { launcher, supervisor } = await running(t, 1);
  const rolling = supervisor.roll();
  const stopping = supervisor.stop();
  t.same(launcher.told(), ['2 starts', '1 drains', '2 drains']);
  launcher.worker(1).exits();
  launcher.worker(2).exits();
  await t.rejects(rolling, { code: 'EDGE_ERR_WORKER_START' });
  await stopping;
  t.same(supervisor.list(), []);
});

t.test('stopped at once, every worker is killed', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  supervisor.killAll();
  t.same(launcher.told(), ['1 killed', '2 killed']);
});

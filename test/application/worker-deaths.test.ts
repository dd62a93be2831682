import t from 'tap';
import { running, stage } from './stage.ts';

for (const exit of [{ signal: 'SIGKILL' }, { signal: 'SIGSEGV' }, { code: 1 }] as const) {
  t.test(`workers that die once, by ${JSON.stringify(exit)}, are replaced at once, all of them`, async (t) => {
    const { launcher, supervisor } = await running(t, 2);
    for (let incarnation = 1; incarnation <= 4; incarnation++) {
      launcher.worker(incarnation).exits(exit);
      launcher.worker(incarnation + 2).accepts();
    }
    t.match(supervisor.health(), { serving: 2, crashes: 0, restartInMs: 0 });
    t.equal(supervisor.deaths, 4);
  });
}

t.test('workers that are killed again and again are backed off, whatever kills them, and health tells', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  let at = 0;
  let incarnation = 1;
  for (; at < 8_000; incarnation++) {
    launcher.worker(incarnation).exits({ signal: 'SIGKILL' });
    const { restartInMs } = supervisor.health();
    pass(Math.max(10, restartInMs));
    at += Math.max(10, restartInMs);
    launcher.worker(incarnation + 2).accepts();
  }
  t.ok(incarnation < 24, `${incarnation} restarts in 8 s`);
  const { crashes, lastCrash } = supervisor.health();
  t.ok(crashes > 5);
  t.equal(lastCrash, 'signal SIGKILL');
  pass(20_000);
  t.equal(supervisor.health().crashes, 0, 'until they stay');
});

t.test('workers that do not come to serve are backed off from the first on, up to a cap', async (t) => {
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

t.test('they are started one at a time, and all of them as soon as one has come to serve', async (t) => {
  const { launcher, supervisor, pass } = stage(t, 3);
  void supervisor.start();
  for (const incarnation of [1, 2, 3]) launcher.worker(incarnation).exits({ code: 1 });
  t.match(supervisor.health(), { crashes: 3, restartInMs: 100 }, 'three that fail together fail once');
  pass(100);
  t.equal(launcher.workers.length, 4);
  launcher.worker(4).accepts();
  t.equal(launcher.workers.length, 6);
  t.match(supervisor.health(), { serving: 1, starting: 2, restartInMs: 0 });
});

t.test('a worker that crashes at its start is no reason to drain the others', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  launcher.worker(1).exits({ code: 1 });
  launcher.worker(3).exits({ code: 1 });
  launcher.worker(2).exits({ signal: 'SIGKILL' });
  pass(100);
  pass(100);
  t.match(supervisor.health(), { starting: 2 }, 'both are started, one after the other');
  t.notOk(launcher.workers.some(({ drained }) => drained));
});

t.test('fewer workers desired than crash: what was held back does not start', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  launcher.worker(1).exits({ code: 1 });
  launcher.worker(3).exits({ code: 1 });
  t.not(supervisor.health().restartInMs, 0);
  supervisor.scale(1);
  t.equal(supervisor.health().restartInMs, 0);
  pass(60_000);
  t.same(launcher.told(), ['1 exits', '3 starts', '3 exits']);
});

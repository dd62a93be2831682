import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { every } from '../src/every.ts';

function mockTimeouts(t: Test): void {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
}

const neverFails = (error: unknown) => {
  throw error;
};

t.test('work comes every so many ms, and not before', async (t) => {
  mockTimeouts(t);
  let times = 0;
  const periodic = every(100, () => times++, neverFails);
  mock.timers.tick(99);
  t.equal(times, 0);
  mock.timers.tick(1);
  t.equal(times, 1);
  for (let i = 0; i < 2; i++) mock.timers.tick(100);
  t.equal(times, 3);
  await periodic.stop();
  mock.timers.tick(1000);
  t.equal(times, 3, 'a stop is the end');
});

t.test('work that takes longer than its interval does not meet itself, and counts from its end', async (t) => {
  mockTimeouts(t);
  const letGo: (() => void)[] = [];
  const periodic = every(100, () => new Promise<void>((resolve) => letGo.push(resolve)), neverFails);
  mock.timers.tick(1000);
  await nextTurn();
  t.equal(letGo.length, 1);
  letGo[0]!();
  await nextTurn();
  mock.timers.tick(99);
  t.equal(letGo.length, 1);
  mock.timers.tick(1);
  t.equal(letGo.length, 2);
  let stopped = false;
  const stop = periodic.stop().then(() => {
    stopped = true;
  });
  await nextTurn();
  t.notOk(stopped, 'a stop waits for what is under way');
  letGo[1]!();
  await stop;
  mock.timers.tick(1000);
  await nextTurn();
  t.equal(letGo.length, 2);
});

t.test('work that fails, at once or later, is told of and comes again', async (t) => {
  mockTimeouts(t);
  const failures: unknown[] = [];
  let times = 0;
  const work = () => {
    times++;
    if (times === 1) throw 'at once';
    return times === 2 ? Promise.reject('later') : Promise.resolve();
  };
  const periodic = every(100, work, (error) => failures.push(error));
  for (let i = 0; i < 3; i++) {
    mock.timers.tick(100);
    await nextTurn();
  }
  t.same(failures, ['at once', 'later']);
  t.equal(times, 3);
  await periodic.stop();
});

t.test('work that stops itself does not come again', async (t) => {
  mockTimeouts(t);
  let times = 0;
  const work = () => {
    times++;
    void periodic.stop();
  };
  const periodic = every(100, work, neverFails);
  mock.timers.tick(1000);
  t.equal(times, 1);
});

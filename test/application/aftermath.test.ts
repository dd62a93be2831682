import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { Aftermath } from '../../src/application/aftermath.ts';
import { countingBoundary } from '../fixtures/boundary.ts';

function* work(slices: number, done: number[], fails = false): Generator<void, void> {
  for (let slice = 1; slice <= slices; slice++) {
    done.push(slice);
    yield;
  }
  if (fails) throw new Error('a defect');
}

t.test('the first slice is done now, the others in turns of the loop, and their end can be waited for', async (t) => {
  const aftermath = new Aftermath({ isBehind: false }, countingBoundary());
  const done: number[] = [];
  aftermath.begin(work(3, done));
  t.same(done, [1]);
  await nextTurn();
  t.ok(done.length < 3);
  await aftermath.settled();
  t.same(done, [1, 2, 3]);
});

t.test('it goes no faster than the log takes records', async (t) => {
  const log = { isBehind: true };
  const aftermath = new Aftermath(log, countingBoundary());
  const done: number[] = [];
  aftermath.begin(work(3, done));
  for (let turn = 0; turn < 50; turn++) await nextTurn();
  t.same(done, [1]);
  log.isBehind = false;
  await aftermath.settled();
  t.same(done, [1, 2, 3]);
});

t.test('a log that stands still is waited for ten seconds in all', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const aftermath = new Aftermath({ isBehind: true }, countingBoundary());
  const done: number[] = [];
  aftermath.begin(work(20, done));
  let over = false;
  void aftermath.settled().then(() => {
    over = true;
  });
  let waited = 0;
  for (; !over && waited < 20_000; waited += 10) {
    await nextTurn();
    mock.timers.tick(10);
  }
  t.equal(done.length, 20);
  t.ok(waited >= 10_000 && waited < 11_000, `${waited} ms`);
});

t.test('a work that fails is counted, and ends no other', async (t) => {
  const boundary = countingBoundary();
  const aftermath = new Aftermath({ isBehind: false }, boundary);
  const done: number[] = [];
  aftermath.begin(work(2, [], true));
  aftermath.begin(work(3, done));
  await aftermath.settled();
  t.same(done, [1, 2, 3]);
  t.equal(boundary.counts().get('worker'), 1);
});

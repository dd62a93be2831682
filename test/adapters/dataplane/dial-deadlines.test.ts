import t, { type Test } from 'tap';
import { DialDeadlines } from '../../../src/adapters/dataplane/stream/dial-deadlines.ts';
import { until } from '../../fixtures/until.ts';

const TIMEOUT_MS = 100;

/** Deadlines whose time the test tells; Node's timer goes on by itself. */
function timed(t: Test) {
  const time = { now: performance.now() };
  t.intercept(performance, 'now', { value: () => time.now });
  const over: string[] = [];
  const deadlines = new DialDeadlines(TIMEOUT_MS);
  const dial = (name: string) => ({ startedAt: time.now, timedOut: () => void over.push(name) });
  return { time, over, deadlines, dial };
}

t.test(
  'dials are over in the order in which they started, each after its time, and those decided are not',
  async (t) => {
    const { time, over, deadlines, dial } = timed(t);
    const decided = dial('decided');
    for (const one of [dial('first'), decided]) deadlines.add(one);
    time.now += 60;
    deadlines.add(dial('second'));
    deadlines.remove(decided);
    time.now += 40;
    await until('the first to be over', () => over.length > 0);
    t.same(over, ['first']);
    time.now += 60;
    await until('the second to be over', () => over.length > 1);
    t.same(over, ['first', 'second']);
    deadlines.add(dial('third'));
    time.now += TIMEOUT_MS;
    await until('a later one to be over', () => over.length > 2);
    t.same(over, ['first', 'second', 'third']);
  },
);

t.test('those that run out of time together take turns', async (t) => {
  const { time, deadlines } = timed(t);
  const endedIn: number[] = [];
  let turn = 0;
  const look = () => {
    turn++;
    if (endedIn.length < 100) setImmediate(look);
  };
  const timedOut = () => {
    if (endedIn.push(turn) === 1) look();
  };
  for (let i = 0; i < 100; i++) deadlines.add({ startedAt: time.now, timedOut });
  time.now += TIMEOUT_MS;
  await until('all to be over', () => endedIn.length === 100);
  t.ok(new Set(endedIn).size >= 4, `${endedIn}`);
});

import fc from 'fast-check';
import t from 'tap';
import { RestartBudget } from '../../src/domain/restart-budget.ts';

t.test('workers that served, killed all at once and again, come back at once', async (t) => {
  for (const workers of [1, 2, 64]) {
    const budget = new RestartBudget();
    for (const at of [1_000, 3_000]) {
      for (let i = 0; i < workers; i++) budget.died(at, 0, true, workers);
      t.equal(budget.delayMs(at, workers), 0, `${workers} workers, at ${at} ms`);
      t.equal(budget.inARow(at, workers), 0);
    }
  }
});

t.test('a worker that dies every few seconds for long is held back by a second or two, and it shows', async (t) => {
  const budget = new RestartBudget();
  let at = 0;
  let deaths = 0;
  for (; at < 60_000; deaths++) {
    budget.died(at, at, true, 2);
    at += 200 + budget.delayMs(at, 2);
  }
  t.ok(deaths < 60, `${deaths} deaths a minute`);
  t.equal(budget.delayMs(at, 2), 2_000);
  t.ok(budget.inARow(at, 2) > 10, `${budget.inARow(at, 2)} of ${deaths}`);
  t.equal(budget.inARow(at + 20_000, 2), 0, 'until it is calm for long');
  t.equal(budget.delayMs(at + 20_000, 2), 0);
});

t.test('code that does not come to serve is held back from the first time, up to ten seconds', async (t) => {
  const budget = new RestartBudget();
  const delays = [];
  let at = 0;
  for (let i = 0; i < 9; i++) {
    budget.died(at + 50, at, false, 1);
    delays.push(budget.delayMs(at + 50, 1));
    at += 50 + delays.at(-1)!;
  }
  t.same(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  t.equal(budget.inARow(at, 1), 9);
  budget.cameToServe();
  t.equal(budget.delayMs(at, 1), 0);
  t.equal(budget.inARow(at + 5_000, 1), 0);
});

t.test('a crash shows until a worker has come to serve and some seconds were calm', async (t) => {
  const budget = new RestartBudget();
  budget.died(1_000, 950, false, 1);
  t.equal(budget.inARow(30_000, 1), 1, 'its successor hangs in its start');
  budget.died(31_000, 1_100, false, 1);
  budget.cameToServe();
  t.equal(budget.inARow(35_999, 1), 2, 'one that only just came to serve is no calm yet');
  t.equal(budget.inARow(36_000, 1), 0);
});

t.test('those that were started together and fail together fail once', async (t) => {
  const budget = new RestartBudget();
  for (let i = 0; i < 64; i++) budget.died(100 + i, 0, false, 64);
  t.equal(budget.delayMs(200, 64), 100);
  t.equal(budget.inARow(200, 64), 64, 'and each of them is told');
});

t.test('those that served and are killed together once too often wait as one does', async (t) => {
  const budget = new RestartBudget();
  for (const at of [1_000, 1_500, 2_000]) for (let i = 0; i < 64; i++) budget.died(at + i, at - 400, true, 64);
  t.equal(budget.delayMs(2_064, 64), 100);
});

t.test('whatever dies when: the delay is bounded, and nothing is held back after twenty calm seconds', async () => {
  const death = fc.record({ after: fc.nat(3_000), age: fc.nat(5_000), served: fc.boolean() });
  fc.assert(
    fc.property(fc.array(death, { maxLength: 200 }), fc.integer({ min: 1, max: 64 }), (deaths, workers) => {
      const budget = new RestartBudget();
      let now = 10_000;
      for (const { after, age, served } of deaths) {
        now += after;
        budget.died(now, now - age, served, workers);
        const delay = budget.delayMs(now, workers);
        if (!(delay >= 0 && delay <= 10_000)) return false;
      }
      budget.cameToServe();
      return budget.delayMs(now + 20_000, workers) === 0 && budget.inARow(now + 20_000, workers) === 0;
    }),
  );
});

import t from 'tap';
import type { Measure } from './measures.ts';
import { verdict } from './measures.ts';
import { Results } from './results.ts';
import { median, pairedRatios, percentile } from './statistics.ts';

t.test('median and percentiles', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  const hundred = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  t.equal(percentile(hundred, 0.5), 50);
  t.equal(percentile(hundred, 0.99), 99);
  t.equal(percentile(Float64Array.of(7), 0.99), 7);
  t.ok(Number.isNaN(percentile(new Float64Array(0), 0.5)));
});

t.test('a ratio is taken round by round, where the other has a figure above 0', async (t) => {
  t.same(pairedRatios([10, 20, 30], [10, 10, 10]), [1, 2, 3]);
  t.same(pairedRatios([10, 20, 30], [10, 0, -5]), [1]);
});

t.test('a target is reached from the side that is better', async (t) => {
  const target = { must: 0.9, aim: 1 };
  t.equal(verdict(1, target, 'more'), 'aim');
  t.equal(verdict(0.9, target, 'more'), 'must');
  t.equal(verdict(0.89, target, 'more'), 'missed');
  t.equal(verdict(0.5, { must: 1, aim: 0.5 }, 'less'), 'aim');
  t.equal(verdict(0.6, { must: 1, aim: 0.5 }, 'less'), 'must');
  t.equal(verdict(0.6, { aim: 0.5 }, 'less'), 'missed');
  t.equal(verdict(-0.1, { aim: 0.5 }, 'less'), 'noise');
  t.equal(verdict(null, target, 'more'), '');
  t.equal(verdict(1, null, 'more'), '');
});

t.test('rows have paired ratios, and targets for the engine that has some', async (t) => {
  const measure: Measure = { name: 'work', unit: '/ s', better: 'more', targets: { epoll: { must: 2, aim: 4 } } };
  const results = new Results();
  for (const [mine, theirs] of [
    [10, 10],
    [60, 20],
    [90, 30],
  ] as const) {
    results.note(measure, { name: 'epoll', kind: 'epoll' }, mine);
    results.note(measure, { name: 'haproxy' }, theirs);
  }
  t.match(results.rows([measure]), [
    {
      contestant: 'epoll',
      median: 60,
      spread: [10, 90],
      ratio: { median: 3, spread: [1, 3], rounds: 3 },
      target: { must: 2, aim: 4 },
      reached: 'must',
    },
    { contestant: 'haproxy', median: 20, ratio: { median: 1 }, target: null, reached: '' },
  ]);
});

t.test(
  'several workers have targets of their own where there are some, and some are of the value itself',
  async (t) => {
    const of = (targets: Measure['targets'], isAbsolute = false): Measure => {
      return { name: 'work', unit: 'us', better: 'less', targets, isAbsolute };
    };
    const reached = (measure: Measure, kind: 'epoll' | 'several epoll') => {
      const results = new Results();
      results.note(measure, { name: 'ours', kind }, 4);
      results.note(measure, { name: 'haproxy' }, 2);
      return results.rows([measure])[0]!.reached;
    };
    const both = { epoll: { aim: 1 }, 'several epoll': { aim: 2 } } as const;
    t.equal(reached(of(both), 'epoll'), 'missed');
    t.equal(reached(of(both), 'several epoll'), 'aim');
    t.equal(reached(of({ epoll: { aim: 2 } }), 'several epoll'), 'aim');
    t.equal(reached(of({ epoll: { aim: 4 } }, true), 'epoll'), 'aim');
    t.equal(reached(of({ epoll: { aim: 3 } }, true), 'epoll'), 'missed');
  },
);

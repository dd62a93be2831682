import { Histogram, Registry } from 'prom-client';
import t from 'tap';
import { LabelledHistogram } from '../../../../src/adapters/outbound/prometheus/labelled-histogram.ts';

t.test("reads at a scrape as prom-client's own does", async (t) => {
  const bounds = [0.001, 0.01, 0.1];
  const ours = new Registry();
  const theirs = new Registry();
  const histogram = new LabelledHistogram('rtt_seconds', 'Time to answer', 'backend', bounds);
  histogram.register(ours);
  const reference = new Histogram({
    name: 'rtt_seconds',
    help: 'Time to answer',
    labelNames: ['backend'],
    buckets: bounds,
    registers: [theirs],
  });
  for (const [backend, seconds] of [
    ['a', 0.0005],
    ['a', 0.001],
    ['b', 0.5],
    ['a', 0.05],
    ['with "quotes"', 0.002],
  ] as const) {
    histogram.observe(backend, seconds);
    reference.observe({ backend }, seconds);
  }
  t.equal(await ours.metrics(), await theirs.metrics());
});

t.test('says nothing but what it is before anything was observed', async (t) => {
  const registry = new Registry();
  new LabelledHistogram('rtt_seconds', 'Time to answer', 'backend', [1]).register(registry);
  t.equal(await registry.metrics(), '# HELP rtt_seconds Time to answer\n# TYPE rtt_seconds histogram\n');
});

import t from 'tap';
import { PrometheusMetrics, type Readings } from '../../../../src/adapters/outbound/prometheus/prometheus-metrics.ts';
import { REFUSAL_REASONS } from '../../../../src/domain/entities.ts';

const GAUGES = {
  connections_active: 3,
  bindings: 5,
  routing_version: 7,
  routing_backends: 2,
  routing_bad_rows: 1,
  routing_stale: 0,
  worker_crashes: 4,
};

function setUp(given: Partial<Readings> = {}) {
  const metrics = new PrometheusMetrics({
    connections: () => new Map([['a', 2]]),
    workers: () => ({ starting: 1, serving: 2, draining: 3 }),
    internalErrors: () => new Map([['client', 9]]),
    gauges: () => GAUGES,
    counters: () => ({
      bindings_evicted_total: 11,
      routing_loads_total: 12,
      routing_load_failures_total: 13,
      log_dropped_total: 0,
      channel_dropped_total: 14,
    }),
    ...given,
  });
  /** The samples of a scrape, by name and labels as they stand there. */
  const scrape = async () => {
    const text = await metrics.registry.metrics();
    const samples = new Map<string, number>();
    for (const line of text.split('\n')) {
      if (line === '' || /^# (?:HELP|TYPE) edgeproxy_[a-z0-9_]+ \S/.test(line)) continue;
      const sample = /^(edgeproxy_[a-z0-9_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})?) (\S+)$/.exec(line);
      // The library's way to say that it has not measured an event-loop delay yet; Prometheus reads it.
      if (sample === null || (Number.isNaN(Number(sample[2])) && sample[2] !== 'Nan'))
        throw new Error(`no line of the format: ${line}`);
      if (samples.has(sample[1]!)) throw new Error(`twice: ${line}`);
      samples.set(sample[1]!, Number(sample[2]));
    }
    return samples;
  };
  return { metrics, scrape };
}

t.test('what happened is counted, under the documented names', async (t) => {
  const { metrics, scrape } = setUp();
  for (let i = 0; i < 5; i++) metrics.accepted();
  metrics.picked('picked');
  metrics.picked('picked');
  metrics.picked('overflow');
  metrics.connected('a', 0.0007);
  metrics.connected('a', 9);
  metrics.connectFailed('b');
  metrics.closed('finished', 100, 200);
  metrics.closed('worker_died', 1, 2);
  metrics.refused('all_full');
  const samples = await scrape();
  for (const [name, value] of [
    ['edgeproxy_connections_total', 5],
    ['edgeproxy_connections_active', 3],
    ['edgeproxy_bytes_sent_total', 202],
    ['edgeproxy_bytes_received_total', 101],
    ['edgeproxy_picks_total{reason="picked"}', 2],
    ['edgeproxy_picks_total{reason="overflow"}', 1],
    ['edgeproxy_refused_total{reason="all_full"}', 1],
    ['edgeproxy_closed_total{reason="finished"}', 1],
    ['edgeproxy_closed_total{reason="worker_died"}', 1],
    ['edgeproxy_backend_connections_total{backend="a"}', 2],
    ['edgeproxy_backend_connections_active{backend="a"}', 2],
    ['edgeproxy_backend_connections_active{backend="b"}', 0],
    ['edgeproxy_backend_errors_total{backend="b"}', 1],
    ['edgeproxy_backend_rtt_seconds_bucket{le="0.0005",backend="a"}', 0],
    ['edgeproxy_backend_rtt_seconds_bucket{le="0.001",backend="a"}', 1],
    ['edgeproxy_backend_rtt_seconds_bucket{le="+Inf",backend="a"}', 2],
    ['edgeproxy_backend_rtt_seconds_count{backend="a"}', 2],
    ['edgeproxy_workers{state="starting"}', 1],
    ['edgeproxy_workers{state="serving"}', 2],
    ['edgeproxy_workers{state="draining"}', 3],
    ['edgeproxy_bindings_evicted_total', 11],
    ['edgeproxy_routing_loads_total', 12],
    ['edgeproxy_routing_load_failures_total', 13],
    ['edgeproxy_channel_dropped_total', 14],
    ['edgeproxy_internal_errors_total{turn="client"}', 9],
    ...Object.entries(GAUGES).map(([name, value]) => [`edgeproxy_${name}`, value] as const),
  ] as const)
    t.equal(samples.get(name), value, name);
});

t.test('a scrape changes nothing: a second one says the same', async (t) => {
  const { metrics, scrape } = setUp();
  metrics.accepted();
  metrics.picked('bound');
  metrics.connected('a', 1);
  const ours = (samples: Map<string, number>) =>
    [...samples].filter(([name]) => !name.startsWith('edgeproxy_primary_'));
  t.same(ours(await scrape()), ours(await scrape()));
});

t.test('a backend that is no longer connected shows 0', async (t) => {
  let connections = new Map([['a', 2]]);
  const { scrape } = setUp({ connections: () => connections });
  t.equal((await scrape()).get('edgeproxy_backend_connections_active{backend="a"}'), 2);
  connections = new Map();
  t.equal((await scrape()).get('edgeproxy_backend_connections_active{backend="a"}'), 0);
});

t.test('more backends than a scrape bears share one label', async (t) => {
  const connections = new Map(Array.from({ length: 1100 }, (_, i) => [`b${i}`, 1]));
  const { metrics, scrape } = setUp({ connections: () => connections });
  for (let i = 0; i < 1100; i++) {
    metrics.connected(`b${i}`, 0.01);
    metrics.connectFailed(`b${i}`);
  }
  const samples = await scrape();
  const of = (name: string) => [...samples].filter(([sample]) => sample.startsWith(`${name}{`));
  for (const name of ['backend_connections_total', 'backend_errors_total', 'backend_connections_active']) {
    t.equal(of(`edgeproxy_${name}`).length, 1001, name);
    t.equal(samples.get(`edgeproxy_${name}{backend="other"}`), 100);
    t.equal(
      of(`edgeproxy_${name}`).reduce((sum, [, value]) => sum + value, 0),
      1100,
      'nothing is lost',
    );
  }
  t.equal(of('edgeproxy_backend_rtt_seconds_count').length, 1001);
});

t.test('labels are bounded by what the proxy knows; odd ids are escaped', async (t) => {
  const { metrics } = setUp({ connections: () => new Map() });
  for (const reason of REFUSAL_REASONS) metrics.refused(reason);
  metrics.connectFailed('a"b\\c\nd');
  const text = await metrics.registry.metrics();
  t.match(text, 'edgeproxy_backend_errors_total{backend="a\\"b\\\\c\\nd"} 1\n');
  t.match(metrics.registry.contentType, /^text\/plain/);
});

import { spawnSync } from 'node:child_process';
import { Histogram, Registry } from 'prom-client';
import t from 'tap';
import { PrometheusMetrics, type Readings } from '../../../../src/adapters/outbound/prometheus/prometheus-metrics.ts';
import { counter, gauge } from '../../../../src/application/ports/metric.ts';
import { PICK_REASONS, REFUSAL_REASONS } from '../../../../src/domain/entities.ts';

/** A routing table of these ids. */
const table = (...ids: string[]) => ({
  size: ids.length,
  slotsBehind: () => ids.keys(),
  backend: (slot: number) => ({ id: ids[slot]! }),
  slotOf: (id: string) => ids.indexOf(id),
});

/** Who holds how many connections. */
const held = (counts: () => ReadonlyMap<string, number>) => ({
  connectionsOf: (id: string) => counts().get(id) ?? 0,
  counts: () => counts(),
});

function setUp(given: Partial<Readings> = {}) {
  const metrics = new PrometheusMetrics({
    table: () => table('a', 'b'),
    build: { version: '1.2.3', node: 'v26.0.0', engine: 'epoll' },
    connections: held(() => new Map([['a', 2]])),
    active: () => 2,
    metrics: () => [
      gauge('bindings', 'Client bindings', () => 5),
      gauge('geoip_age_seconds', 'Since it was made', () => 60),
      gauge('workers', 'By state', () => new Map(Object.entries({ starting: 1, serving: 2 })), 'state'),
      counter('routing_loads_total', 'Loads', () => 12),
    ],
    ...given,
  });
  /** The samples of a scrape, by name and labels as they stand there. */
  const text = async () => [...(await metrics.scrape()).chunks].join('');
  const scrape = async () => samplesOf(await text());
  return { metrics, scrape, text };
}

/** Fails for a line that is none of the format, and for a sample that is there twice. */
function samplesOf(text: string): Map<string, number> {
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
}

t.test('what happened is counted, under the documented names', async (t) => {
  const { metrics, scrape } = setUp();
  for (let i = 0; i < 5; i++) metrics.accepted();
  metrics.picked('picked');
  metrics.picked('picked');
  metrics.picked('overflow');
  metrics.connected('a', 0.0007);
  metrics.connected('a', 9);
  metrics.connectFailed('b', 'ECONNREFUSED', false);
  metrics.connectFailed('b', 'ECONNREFUSED', false);
  metrics.connectFailed('b', 'ENETUNREACH', false);
  metrics.closed('finished', 100, 200);
  metrics.closed('worker_died', 1, 2);
  metrics.refused('all_full');
  const samples = await scrape();
  for (const [name, value] of [
    ['edgeproxy_connections_total', 5],
    ['edgeproxy_connections_active', 2],
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
    ['edgeproxy_backend_errors_total{backend="b",code="ECONNREFUSED"}', 2],
    ['edgeproxy_backend_errors_total{backend="b",code="ENETUNREACH"}', 1],
    ['edgeproxy_build_info{version="1.2.3",node="v26.0.0",engine="epoll"}', 1],
    ['edgeproxy_geoip_age_seconds', 60],
    ['edgeproxy_backend_rtt_seconds_bucket{le="0.0005",backend="a"}', 0],
    ['edgeproxy_backend_rtt_seconds_bucket{le="0.001",backend="a"}', 1],
    ['edgeproxy_backend_rtt_seconds_bucket{le="+Inf",backend="a"}', 2],
    ['edgeproxy_backend_rtt_seconds_count{backend="a"}', 2],
    ['edgeproxy_workers{state="starting"}', 1],
    ['edgeproxy_workers{state="serving"}', 2],
    ['edgeproxy_bindings', 5],
    ['edgeproxy_routing_loads_total', 12],
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
  const { scrape } = setUp({ connections: held(() => connections) });
  t.equal((await scrape()).get('edgeproxy_backend_connections_active{backend="a"}'), 2);
  connections = new Map();
  t.equal((await scrape()).get('edgeproxy_backend_connections_active{backend="a"}'), 0);
});

t.test('whatever may be counted is there from the start, with 0', async (t) => {
  const { scrape } = setUp({ connections: held(() => new Map()) });
  const samples = await scrape();
  for (const name of [
    'edgeproxy_connections_total',
    ...PICK_REASONS.map((reason) => `edgeproxy_picks_total{reason="${reason}"}`),
    ...REFUSAL_REASONS.map((reason) => `edgeproxy_refused_total{reason="${reason}"}`),
    ...[
      'finished',
      'client_reset',
      'backend_reset',
      'idle_timeout',
      'half_close_timeout',
      'drained',
      'worker_died',
    ].map((reason) => `edgeproxy_closed_total{reason="${reason}"}`),
    'edgeproxy_backend_connections_total{backend="a"}',
    'edgeproxy_backend_connections_active{backend="b"}',
    'edgeproxy_backend_errors_total{backend="a",code="ECONNREFUSED"}',
    'edgeproxy_backend_errors_total{backend="b",code="ETIMEDOUT"}',
  ])
    t.equal(samples.get(name), 0, name);
});

t.test('a metric that there is none of now is left out', async (t) => {
  const { text } = setUp({ metrics: () => [gauge('geoip_age_seconds', 'Since it was made', () => null)] });
  t.notMatch(await text(), 'geoip_age_seconds');
});

const sumOf = (samples: Map<string, number>, name: string) =>
  [...samples].reduce((sum, [sample, value]) => (sample.startsWith(`${name}{`) ? sum + value : sum), 0);
const countOf = (samples: Map<string, number>, name: string) =>
  [...samples.keys()].filter((sample) => sample.startsWith(`${name}{`)).length;

t.test('more backends than a scrape bears share one label', async (t) => {
  const ids = Array.from({ length: 1100 }, (_, i) => `b${i}`);
  const { metrics, scrape } = setUp({
    table: () => table(...ids),
    connections: held(() => new Map(ids.map((id) => [id, 1]))),
    active: () => 1100,
  });
  t.equal(countOf(await scrape(), 'edgeproxy_backend_connections_total'), 1000);
  for (const id of ids) {
    metrics.connected(id, 0.01);
    metrics.connectFailed(id, 'ECONNREFUSED', false);
  }
  const samples = await scrape();
  for (const [name, label] of [
    ['edgeproxy_backend_connections_total', 'backend="other"'],
    ['edgeproxy_backend_errors_total', 'backend="other",code="ECONNREFUSED"'],
    ['edgeproxy_backend_connections_active', 'backend="other"'],
  ] as const) {
    t.equal(samples.get(`${name}{${label}}`), 100, name);
    t.equal(sumOf(samples, name), 1100, 'nothing is lost');
  }
  for (const name of ['connections_total', 'connections_active', 'rtt_seconds_count'])
    t.equal(countOf(samples, `edgeproxy_backend_${name}`), 1001);
});

t.test('a large table gives labels to those of its backends that are used', async (t) => {
  const ids = Array.from({ length: 5000 }, (_, i) => `b${i}`);
  const { metrics, scrape } = setUp({ table: () => table(...ids), connections: held(() => new Map([['b7', 2]])) });
  metrics.connected('b4999', 0.01);
  const samples = await scrape();
  t.equal(countOf(samples, 'edgeproxy_backend_connections_total'), 2);
  t.equal(samples.get('edgeproxy_backend_connections_total{backend="b4999"}'), 1);
  t.equal(samples.get('edgeproxy_backend_connections_active{backend="b7"}'), 2);
});

t.test('labels do not fill up with ids that are gone, and nothing that is left ever goes down', async (t) => {
  let ids: string[] = [];
  let connections = new Map<string, number>();
  const { metrics, scrape } = setUp({
    table: () => table(...ids),
    connections: held(() => connections),
    active: () => [...connections.values()].reduce((sum, held) => sum + held, 0),
  });
  const name = (id: string) => `edgeproxy_backend_connections_total{backend="${id}"}`;
  let before = new Map<string, number>();
  for (let generation = 0; generation < 5; generation++) {
    ids = Array.from({ length: 900 }, (_, i) => `g${generation}-${i}`);
    // One of each generation still holds a connection when its row is gone.
    connections = new Map(Array.from({ length: generation + 1 }, (_, g) => [`g${g}-0`, 1]));
    for (const id of ids) metrics.connected(id, 0.01);
    const samples = await scrape();
    for (let g = 0; g <= generation; g++) t.ok(samples.has(name(`g${g}-0`)), 'it still holds a connection');
    t.notOk(samples.has(name(`g${generation - 1}-1`)), 'and this one is gone');
    for (const [sample, value] of before)
      if (sample.startsWith('edgeproxy_backend_connections_total') && (samples.get(sample) ?? Infinity) < value)
        t.fail(`${sample} went from ${value} to ${samples.get(sample)}`);
    before = samples;
  }
  const other = before.get(name('other'));
  await scrape();
  // Those that were counted as "other" while all labels were taken have their own from now on.
  metrics.connected('g4-899', 0.01);
  const after = await scrape();
  t.equal(after.get(name('other')), other);
  t.equal(after.get(name('g4-899')), 1);
  connections = new Map();
  ids = [];
  t.same(
    [...(await scrape()).keys()].filter((sample) => sample.startsWith('edgeproxy_backend_connections_')),
    [name('other'), 'edgeproxy_backend_connections_active{backend="other"}'].reverse(),
    'all are free in the end',
  );
});

t.test('codes of errors have a bound, whatever the system makes up', async (t) => {
  const { metrics, scrape } = setUp();
  for (let i = 0; i < 1000; i++) metrics.connectFailed('a', `E${i}`, false);
  const samples = await scrape();
  t.ok(countOf(samples, 'edgeproxy_backend_errors_total') < 50);
  t.equal(sumOf(samples, 'edgeproxy_backend_errors_total'), 1000);
});

t.test('odd ids are escaped', async (t) => {
  const { metrics, text } = setUp({ table: () => table('a"b\\c\nd') });
  metrics.connectFailed('a"b\\c\nd', 'ECONNREFUSED', false);
  t.match(await text(), 'edgeproxy_backend_errors_total{backend="a\\"b\\\\c\\nd",code="ECONNREFUSED"} 1\n');
  t.match((await metrics.scrape()).contentType, /^text\/plain; version=0\.0\.4/);
});

t.test("the histogram reads as prom-client's own", async (t) => {
  const { metrics, text } = setUp();
  const reference = new Registry();
  const histogram = new Histogram({
    name: 'edgeproxy_backend_rtt_seconds',
    help: 'Time from the dial to the backend accepting it',
    labelNames: ['backend'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [reference],
  });
  const ours = async () => {
    const all = await text();
    const from = all.indexOf('# HELP edgeproxy_backend_rtt_seconds');
    return all.slice(from, all.indexOf('# HELP', from + 1));
  };
  for (let round = 0; round < 2; round++) {
    for (const [backend, seconds] of [
      ['a', 0.0005],
      ['b', 0.3],
      ['a', 0.0006],
      ['a', 9],
    ] as const) {
      metrics.connected(backend, seconds);
      histogram.observe({ backend }, seconds);
    }
    t.equal(await ours(), `${await reference.metrics()}\n`.replace(/\n\n$/, '\n'), 'also when it is read again');
  }
});

t.test('promtool finds nothing to say', { skip: noPromtool() }, async (t) => {
  const { metrics, text } = setUp({ table: () => table('a', 'a"b') });
  metrics.connected('a', 0.01);
  metrics.connectFailed('a"b', 'ECONNREFUSED', false);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await text(),
    encoding: 'utf8',
  });
  t.same({ status, said: stdout + stderr }, { status: 0, said: '' });
});

function noPromtool(): string | false {
  return spawnSync('promtool', ['--version']).status === 0 ? false : 'there is no promtool here (Debian: prometheus)';
}

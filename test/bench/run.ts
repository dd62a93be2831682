import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type Contestant, startBulkBackend, startContestants, startHttpBackend } from './contestants.ts';
import { bytesPerIdleConnection } from './idle-memory.ts';
import { bytesPerBinding, picksPerSecond, reloadStallMs, selectionNs } from './micro.ts';
import { Bench, PROGRAMS, type Program, pathOf, STREAM_MODULE, STREAM_PACKAGE } from './processes.ts';
import { TRAFFIC } from './traffic.ts';

const HELP = `Measures edgeProxy beside HAProxy and nginx on this machine: npm run bench -- [options]

  --rounds N      interleaved rounds of each traffic measure, of which the median is taken (5)
  --seconds N     length of one measure (3)
  --idle N        idle connections to hold for the memory measure (2000)
  --only PART     micro or traffic
  --json          results as JSON on stdout; progress goes to stderr either way
  --help

Ratios are to HAProxy with one thread, of work done for each second of CPU time of the proxy's own
processes: for edgeProxy, workers and primary together, its access log included.`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    idle: { type: 'string', default: '2000' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    'bytes-per-binding': { type: 'boolean', default: false },
  },
});

interface Row {
  readonly measure: string;
  readonly unit: string;
  readonly contestant: string;
  readonly median: number;
  /** Least and greatest of the rounds. */
  readonly spread: readonly [number, number];
  readonly ratio: number | null;
  readonly aim: string;
}

/** Node compiles what is hot while it runs; a proxy that has just started is not what operators run. */
const WARM_UP_SECONDS = 5;

const say = (text: string) => process.stderr.write(`${text}\n`);

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function single(measure: string, unit: string, value: number, aim: string): Row {
  return { measure, unit, contestant: 'edgeproxy', median: value, spread: [value, value], ratio: null, aim };
}

async function micro(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const backends of [10, 1000, 10_000]) {
    say(`picks among ${backends} backends`);
    const name = `among ${backends.toLocaleString('en')} backends`;
    rows.push(single(`selection ${name}, idle`, 'ns', await selectionNs(backends, 0), '<= 2000'));
    rows.push(single(`selection ${name}, loaded`, 'ns', await selectionNs(backends, 5000), '<= 2000'));
    rows.push(single(`whole picks ${name}`, '/ s', await picksPerSecond(backends), ''));
  }
  say('a million bindings');
  // In a process of its own, where nothing else moves the heap.
  const child = execFileSync(process.execPath, ['--expose-gc', import.meta.filename, '--bytes-per-binding'], {
    encoding: 'utf8',
  });
  rows.push(single('memory of a binding, of 1,000,000', 'bytes', Number(child), '<= 150'));
  say('a reload of 100,000 rows');
  const stalls = [];
  for (let round = 0; round < 5; round++)
    stalls.push((await reloadStallMs(bench.directoryFor(`reload-${round}`))).stallMs);
  rows.push({
    ...single('longest stall in a reload of 100,000 rows', 'ms', median(stalls), '<= 10'),
    spread: [Math.min(...stalls), Math.max(...stalls)],
  });
  return rows;
}

async function traffic(bench: Bench): Promise<Row[]> {
  const missing = (['wrk', 'iperf3', 'nginx'] as Program[]).filter((program) => pathOf(program) === null);
  if (missing.length > 0) {
    say(
      `traffic is not measured: it needs ${missing.join(', ')} (Debian: apt-get install ${missing.map((program) => PROGRAMS[program]).join(' ')})`,
    );
    return [];
  }
  if (pathOf('haproxy') === null) say('without ratios: HAProxy is not installed (Debian: apt-get install haproxy)');
  if (!existsSync(STREAM_MODULE)) say(`without nginx as a proxy: it needs ${STREAM_PACKAGE}`);
  const backends = { httpPort: await startHttpBackend(bench), bulkPort: await startBulkBackend(bench) };
  const contestants = await startContestants(bench, backends);
  const results = new Map<string, number[]>();
  const note = (measure: string, contestant: Contestant, value: number) => {
    const key = `${measure}\n${contestant.name}`;
    results.set(key, [...(results.get(key) ?? []), value]);
  };
  const idle = { name: 'memory of an idle connection', unit: 'bytes', aim: Number.NaN };
  for (const contestant of contestants) {
    // On processes that are fresh: garbage of a load before would be collected meanwhile, and count as less.
    note(idle.name, contestant, await bytesPerIdleConnection(contestant, Number(values.idle)));
    say(`${idle.name}: ${contestant.name}`);
  }
  for (const contestant of contestants) {
    say(`warming up: ${contestant.name}`);
    await TRAFFIC[0]!.run(contestant, WARM_UP_SECONDS);
  }
  const rounds = Number(values.rounds);
  for (let round = 1; round <= rounds; round++) {
    for (const measure of TRAFFIC) {
      for (const contestant of contestants) {
        const value = await measure.run(contestant, Number(values.seconds));
        note(measure.name, contestant, value);
        say(`round ${round} of ${rounds}: ${measure.name}: ${contestant.name}: ${figure(value)} ${measure.unit}`);
      }
    }
  }
  for (const { stop } of contestants) await stop();

  return [...TRAFFIC, idle].flatMap(({ name, unit, aim }) =>
    contestants.map((contestant) => {
      const numbers = results.get(`${name}\n${contestant.name}`)!;
      const haproxy = results.get(`${name}\nhaproxy`);
      const ours = contestant.name.startsWith('edgeproxy');
      return {
        measure: name,
        unit,
        contestant: contestant.name,
        median: median(numbers),
        spread: [Math.min(...numbers), Math.max(...numbers)] as const,
        ratio: haproxy === undefined ? null : median(numbers) / median(haproxy),
        aim: ours && !Number.isNaN(aim) ? `>= ${aim}` : '',
      };
    }),
  );
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function print(rows: readonly Row[]): void {
  const table = new Table({
    head: ['measure', 'proxy', 'median', 'spread', 'to HAProxy', 'aim'],
    style: { head: [], border: [] },
  });
  for (const { measure, unit, contestant, median, spread, ratio, aim } of rows) {
    const range = spread[0] === spread[1] ? '' : `${figure(spread[0])} .. ${figure(spread[1])}`;
    table.push([measure, contestant, `${figure(median)} ${unit}`, range, ratio === null ? '' : ratio.toFixed(2), aim]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else if (values['bytes-per-binding']) {
  process.stdout.write(String(bytesPerBinding()));
} else {
  const bench = new Bench();
  try {
    const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Linux ${release()}, Node ${process.version}`;
    say(machine);
    const rows = [
      ...(values.only === 'traffic' ? [] : await micro(bench)),
      ...(values.only === 'micro' ? [] : await traffic(bench)),
    ];
    if (values.json)
      process.stdout.write(`${JSON.stringify({ machine, date: new Date().toISOString(), rows }, null, 2)}\n`);
    else print(rows);
  } finally {
    await bench.close();
  }
}

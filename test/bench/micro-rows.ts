import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Measure, verdict } from './measures.ts';
import { oneChangedMs, picksPerSecond, reloadStallMs, selectionNs } from './micro.ts';
import type { Bench } from './processes.ts';
import type { Row } from './results.ts';
import { summary } from './statistics.ts';

const BYTES_PER_BINDING = fileURLToPath(new URL('./bytes-per-binding.ts', import.meta.url));
const COST_OF_CONNECTION = fileURLToPath(new URL('./cost-of-connection.ts', import.meta.url));
const CHILD_MS = 120_000;
/** Young objects are not collected before they are counted. */
const MUCH_ROOM = ['--min-semi-space-size=64', '--max-semi-space-size=64'];
const RELOADS = 5;

function row(measure: string, unit: string, values: readonly number[], aim: number | null): Row {
  const better: Measure['better'] = aim === null ? 'more' : 'less';
  const target = aim === null ? null : { aim };
  const { median, spread } = summary(values);
  const reached = verdict(median, target, better);
  return {
    measure,
    unit,
    contestant: 'edgeproxy',
    better,
    rounds: values.length,
    median,
    spread,
    ratio: null,
    target,
    reached,
  };
}

/** What a program prints that runs by itself, with a collector to call. */
function child(program: string, flags: readonly string[]): string {
  const options = { encoding: 'utf8', timeout: CHILD_MS } as const;
  return execFileSync(process.execPath, ['--expose-gc', ...flags, program], options);
}

/** What the primary does by itself. */
export async function microRows(bench: Bench, say: (text: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  for (const backends of [10, 1000, 10_000]) {
    say(`picks among ${backends} backends`);
    const name = `among ${backends.toLocaleString('en')} backends`;
    rows.push(row(`selection ${name}, idle`, 'ns', [await selectionNs(backends, 0)], 2000));
    rows.push(row(`selection ${name}, loaded`, 'ns', [await selectionNs(backends, 5000)], 2000));
    rows.push(row(`whole picks ${name}`, '/ s', [await picksPerSecond(backends)], null));
  }
  say('the cost of a connection');
  const { ns, garbageBytes } = JSON.parse(child(COST_OF_CONNECTION, MUCH_ROOM));
  rows.push(row('CPU of a whole connection, 20,000 open', 'ns', [ns], 1000));
  rows.push(row('garbage of a whole connection', 'bytes', [garbageBytes], 100));
  say('a million bindings');
  const bytes = child(BYTES_PER_BINDING, []);
  rows.push(row('memory of a binding, of 1,000,000', 'bytes', [Number(bytes)], 150));
  say('a reload of 100,000 rows');
  const stalls: number[] = [];
  for (let round = 0; round < RELOADS; round++)
    stalls.push((await reloadStallMs(bench.directoryFor(`reload-${round}`))).stallMs);
  rows.push(row('longest stall in a reload of 100,000 rows', 'ms', stalls, 10));
  const costs = await oneChangedMs(bench.directoryFor('reload-one'), RELOADS);
  rows.push(row('primary in a reload of 100,000 rows with one changed', 'ms of CPU', costs, 1));
  return rows;
}

import { fileURLToPath } from 'node:url';
import type { Contestant } from './contestants.ts';
import { MEASURES, type Measure } from './measures.ts';
import type { NewConnectionsReport } from './new-connections.ts';
import { cpuSeconds } from './proc.ts';
import type { Bench } from './processes.ts';
import { gigabytes } from './traffic.ts';

const GENERATOR = fileURLToPath(new URL('./new-connections.ts', import.meta.url));
/** The streams begin before the generator, which starts up and warms up meanwhile, and end after it. In seconds. */
const WARM_UP = 2;
const GRACE_MS = 30_000;

/** New connections beside bulk streams: what both get. */
export interface Mix {
  readonly streams: number;
  readonly p50: Measure;
  readonly p99: Measure;
  readonly bytes: Measure;
}

export const MIXES: readonly Mix[] = [
  { streams: 1, p50: MEASURES.beside1P50, p99: MEASURES.beside1P99, bytes: MEASURES.mixed1 },
  { streams: 8, p50: MEASURES.beside8P50, p99: MEASURES.beside8P99, bytes: MEASURES.mixed8 },
  { streams: 64, p50: MEASURES.beside64P50, p99: MEASURES.beside64P99, bytes: MEASURES.mixed64 },
];

export interface Mixed extends NewConnectionsReport {
  /** GB of the streams for each second of the proxy's CPU time, in which the new connections have their part. */
  readonly bytes: number;
}

export async function mixed(bench: Bench, contestant: Contestant, streams: number, seconds: number): Promise<Mixed> {
  const args = [GENERATOR, contestant.httpPort, seconds].map(String);
  const before = cpuSeconds(contestant.pids);
  const [moved, report] = await Promise.all([
    gigabytes(bench, contestant.bulkPort, seconds + WARM_UP, streams),
    bench.output(process.execPath, args, (seconds + WARM_UP) * 1000 + GRACE_MS),
  ]);
  const { p50, p99 } = JSON.parse(report) as NewConnectionsReport;
  return { p50, p99, bytes: moved / (cpuSeconds(contestant.pids) - before) };
}

import type { Contestant } from './contestants.ts';
import { MEASURES, type Measure } from './measures.ts';
import { cpuSeconds } from './proc.ts';
import type { Bench } from './processes.ts';
import { pathOf } from './programs.ts';

/** A measure of one proxy. `isOfOurs`: others have nothing of the kind. */
export interface TrafficMeasure {
  readonly measure: Measure;
  readonly isOfOurs?: boolean;
  readonly run: (bench: Bench, contestant: Contestant, seconds: number) => Promise<number>;
}

export const CONNECTIONS = 64;
export const SHORT_CONNECTION = ['-H', 'Connection: close'];
/** What a load generator may take beyond the seconds that it was given. In ms. */
const GRACE_MS = 30_000;

/** Requests that `connections` clients had answered. */
export async function wrk(
  bench: Bench,
  port: number,
  seconds: number,
  headers: readonly string[],
  connections = CONNECTIONS,
): Promise<number> {
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, ...headers, `http://127.0.0.1:${port}/`];
  const text = await bench.output(pathOf('wrk')!, args, seconds * 1000 + GRACE_MS);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  // A closed connection counts as a read error in wrk when the server closes first; refused ones are not.
  if (errors !== null && Number(errors[1]) + Number(errors[4]) > 0) throw new Error(`wrk had errors:\n${text}`);
  return requests;
}

/** Received by the bulk backend from `streams` streams at once. */
export async function gigabytes(bench: Bench, port: number, seconds: number, streams: number): Promise<number> {
  const args = ['-c', '127.0.0.1', '-p', String(port), '-P', String(streams), '-t', String(seconds), '-J'];
  const text = await bench.output(pathOf('iperf3')!, args, seconds * 1000 + GRACE_MS);
  const report = JSON.parse(text) as { end: { sum_received: { bytes: number } } };
  return report.end.sum_received.bytes / 1e9;
}

const perCpuSecond = (
  measure: Measure,
  work: (bench: Bench, contestant: Contestant, seconds: number) => Promise<number>,
): TrafficMeasure => ({
  measure,
  run: async (bench, contestant, seconds) => {
    const before = cpuSeconds(contestant.pids);
    const done = await work(bench, contestant, seconds);
    return done / (cpuSeconds(contestant.pids) - before);
  },
});

/** In us. */
export async function cpuOfAConnection(
  bench: Bench,
  port: number,
  pids: readonly number[],
  seconds: number,
  clients = CONNECTIONS,
): Promise<number> {
  const before = cpuSeconds(pids);
  const connections = await wrk(bench, port, seconds, SHORT_CONNECTION, clients);
  return ((cpuSeconds(pids) - before) * 1e6) / connections;
}

export const TRAFFIC: readonly TrafficMeasure[] = [
  perCpuSecond(MEASURES.short, (bench, { httpPort }, seconds) => wrk(bench, httpPort, seconds, SHORT_CONNECTION)),
  {
    measure: MEASURES.primary,
    isOfOurs: true,
    run: (bench, { httpPort, pids }, seconds) => cpuOfAConnection(bench, httpPort, pids.slice(0, 1), seconds),
  },
  perCpuSecond(MEASURES.keepAlive, (bench, { httpPort }, seconds) => wrk(bench, httpPort, seconds, [])),
  perCpuSecond(MEASURES.bulk1, (bench, { bulkPort }, seconds) => gigabytes(bench, bulkPort, seconds, 1)),
  perCpuSecond(MEASURES.bulk8, (bench, { bulkPort }, seconds) => gigabytes(bench, bulkPort, seconds, 8)),
];

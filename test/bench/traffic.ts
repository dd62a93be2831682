import type { Contestant } from './contestants.ts';
import { cpuSeconds, output, pathOf } from './processes.ts';

/** One measure of one proxy: how much it did for each second of its own CPU time. */
export interface TrafficMeasure {
  readonly name: string;
  readonly unit: string;
  /** Aim of the stream engine, as a ratio to HAProxy. */
  readonly aim: number;
  readonly run: (contestant: Contestant, seconds: number) => Promise<number>;
}

const CONNECTIONS = 64;

const wrk = async (port: number, seconds: number, headers: readonly string[]) => {
  const args = ['-t', '1', '-c', String(CONNECTIONS), '-d', `${seconds}s`, ...headers, `http://127.0.0.1:${port}/`];
  const text = await output(pathOf('wrk')!, args);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  // A closed connection counts as a read error in wrk when the server closes first; refused ones are not.
  if (errors !== null && Number(errors[1]) + Number(errors[4]) > 0) throw new Error(`wrk had errors:\n${text}`);
  return requests;
};

async function perCpuSecond(contestant: Contestant, work: () => Promise<number>): Promise<number> {
  const before = cpuSeconds(contestant.pids);
  const done = await work();
  return done / (cpuSeconds(contestant.pids) - before);
}

export const TRAFFIC: readonly TrafficMeasure[] = [
  {
    name: 'short connections',
    unit: '/ CPU-s',
    aim: 0.55,
    run: (contestant, seconds) =>
      perCpuSecond(contestant, () => wrk(contestant.httpPort, seconds, ['-H', 'Connection: close'])),
  },
  {
    name: 'keep-alive requests',
    unit: '/ CPU-s',
    aim: 0.75,
    run: (contestant, seconds) => perCpuSecond(contestant, () => wrk(contestant.httpPort, seconds, [])),
  },
  ...[1, 8].map((streams) => ({
    name: `bulk, ${streams} stream${streams === 1 ? '' : 's'}`,
    unit: 'GB / CPU-s',
    aim: 0.95,
    run: (contestant: Contestant, seconds: number) =>
      perCpuSecond(contestant, async () => {
        const args = [
          '-c',
          '127.0.0.1',
          '-p',
          String(contestant.bulkPort),
          '-P',
          String(streams),
          '-t',
          String(seconds),
          '-J',
        ];
        const report = JSON.parse(await output(pathOf('iperf3')!, args)) as {
          end: { sum_received: { bytes: number } };
        };
        return report.end.sum_received.bytes / 1e9;
      }),
  })),
];

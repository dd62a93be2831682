import { fileURLToPath } from 'node:url';
import type { Backends } from './backends.ts';
import { type Contestant, REFERENCE } from './contestants.ts';
import type { LoadReport } from './load-generator.ts';
import type { Bench } from './processes.ts';
import { median } from './statistics.ts';
import { figure } from './table.ts';
import { CONNECTIONS } from './traffic.ts';

const GENERATOR = fileURLToPath(new URL('./load-generator.ts', import.meta.url));
/** Its start, its warm-up, and the wait for the last answers. In ms. */
const GRACE_MS = 45_000;
const CAPACITY_RUNS = 3;

/** The path without a proxy, measured like one. */
export const DIRECT = 'no proxy';

type Target = Pick<Contestant, 'name' | 'httpPort'>;

/** What a latency is measured at. */
export interface LatencyPlan {
  /** Requests a second. */
  readonly rate: number;
  /** Answers a second in a closed loop, and whose: the rate is half of it. */
  readonly capacity: number;
  readonly capacityOf: string;
  /** Answers a second in a closed loop without a proxy: what the generator and the backend are good for. */
  readonly direct: number;
}

/** With `rate` 0 in a closed loop, where only the reached rate is told. */
async function load(bench: Bench, target: Target, rate: number, seconds: number): Promise<LoadReport> {
  const args = [GENERATOR, target.httpPort, CONNECTIONS, rate, seconds].map(String);
  return JSON.parse(await bench.output(process.execPath, args, seconds * 1000 + GRACE_MS)) as LoadReport;
}

/**
 * Half of what HAProxy carries from this generator to this backend, on these cores and in a closed loop: one rate for all, so
 * that their latencies can be compared, and the same whichever contestants there are. Where there is no HAProxy, half of
 * what the first contestant carries.
 */
export async function planLatency(
  bench: Bench,
  contestants: readonly Contestant[],
  backends: Backends,
  seconds: number,
  say: (text: string) => void,
): Promise<LatencyPlan> {
  // Of all of them, though one rate is wanted: Node compiles what is hot while it runs.
  for (const contestant of contestants) {
    const { rate } = await load(bench, contestant, 0, seconds);
    say(`${contestant.name} carries ${figure(rate)} requests a second in a closed loop`);
  }
  const reference = contestants.find(({ name }) => name === REFERENCE) ?? contestants[0]!;
  const carried: number[] = [];
  for (let run = 0; run < CAPACITY_RUNS; run++) carried.push((await load(bench, reference, 0, seconds)).rate);
  const capacity = median(carried);
  const { rate: direct } = await load(bench, directTo(backends), 0, seconds);
  return { rate: Math.round(capacity / 2), capacity, capacityOf: reference.name, direct };
}

export const directTo = (backends: Backends): Target => ({ name: DIRECT, httpPort: backends.httpPort });

/** The latency of `target` at the plan's rate. */
export function latency(bench: Bench, target: Target, plan: LatencyPlan, seconds: number): Promise<LoadReport> {
  return load(bench, target, plan.rate, seconds);
}

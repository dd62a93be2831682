import { availableParallelism, freemem } from 'node:os';
import { type Backends, startBackends } from './backends.ts';
import { type Contestant, type Entrant, edgeproxy, entrants } from './contestants.ts';
import { bytesPerIdleConnection } from './idle-memory.ts';
import { directTo, type LatencyPlan, latency, planLatency } from './latency.ts';
import { type Kind, MEASURES, type Measure } from './measures.ts';
import { MIXES, mixed } from './mixed.ts';
import type { Options, Part } from './options.ts';
import type { Bench } from './processes.ts';
import { missing, type Program } from './programs.ts';
import { Results, type Row } from './results.ts';
import { figure } from './table.ts';
import { cpuOfAConnection, SHORT_CONNECTION, TRAFFIC, wrk } from './traffic.ts';

export interface Comparison {
  readonly rows: readonly Row[];
  /** `null`: not measured. */
  readonly idleConnections: number | null;
  readonly latency: LatencyPlan | null;
}

const NEEDS: Readonly<Partial<Record<Part, readonly Program[]>>> = {
  memory: ['nginx', 'wrk'],
  lone: ['nginx', 'wrk'],
  traffic: ['nginx', 'wrk', 'iperf3'],
  mixed: ['nginx', 'wrk', 'iperf3'],
  latency: ['nginx'],
};

/** Far more than there are cores. */
const MANY_WORKERS = 24;

/** Node compiles what is hot while it runs; a proxy that has just started is not what operators run. */
const WARM_UP_SECONDS = 5;

/** What holding connections through a proxy takes of the machine: processes, and user and kernel memory of all ends. */
const CONTESTANT_BYTES = 300e6;
const CONNECTION_BYTES = 40e3;

/** `items`, of which each round starts with the next: none is always the one after the heaviest. */
const turned = <T>(items: readonly T[], round: number): T[] => items.map((_, i) => items[(i + round) % items.length]!);

/** Measures the proxies beside each other: all parts but `micro`. */
export async function compare(bench: Bench, options: Options, say: (text: string) => void): Promise<Comparison> {
  const parts = options.parts.filter((part) => part !== 'micro' && runs(part, say));
  if (parts.length === 0) return { rows: [], idleConnections: null, latency: null };
  const backends = await startBackends(bench);
  const run = new Run(bench, options, backends, entrants(options.engines, say), say);
  if (parts.includes('memory')) await run.memory();
  if (parts.includes('lone')) await run.lone();
  const plan = parts.some((part) => part !== 'memory' && part !== 'lone') ? await run.load(parts) : null;
  return { rows: run.rows(), idleConnections: parts.includes('memory') ? options.idle : null, latency: plan };
}

function runs(part: Part, say: (text: string) => void): boolean {
  const why =
    part === 'latency' && availableParallelism() < 2
      ? 'its generator takes a core, and this machine has one'
      : missing(NEEDS[part] ?? []);
  if (why !== null) say(`${part} is not measured: ${why}`);
  return why === null;
}

class Run {
  readonly #bench: Bench;
  readonly #options: Options;
  readonly #backends: Backends;
  readonly #entrants: readonly Entrant[];
  readonly #say: (text: string) => void;
  readonly #results = new Results();

  constructor(
    bench: Bench,
    options: Options,
    backends: Backends,
    entrants: readonly Entrant[],
    say: (text: string) => void,
  ) {
    this.#bench = bench;
    this.#options = options;
    this.#backends = backends;
    this.#entrants = entrants;
    this.#say = say;
  }

  rows(): Row[] {
    return this.#results.rows(Object.values(MEASURES));
  }

  /** Side by side: it is mostly waiting, and nothing in it is timed. */
  async memory(): Promise<void> {
    const { rounds, idle } = this.#options;
    const atOnce = Math.max(1, Math.floor(freemem() / (CONTESTANT_BYTES + idle * CONNECTION_BYTES)));
    for (let round = 0; round < rounds; round++) {
      for (let first = 0; first < this.#entrants.length; first += atOnce) {
        const group = this.#entrants.slice(first, first + atOnce);
        this.#say(`round ${round + 1} of ${rounds}: ${MEASURES.memory.name}: some two minutes of waiting`);
        const bytes = await Promise.all(group.map((entrant) => bytesPerIdleConnection(this.#bench, entrant, idle)));
        for (const [i, { name }] of group.entries()) this.#note(round, MEASURES.memory, name, bytes[i]!);
      }
    }
  }

  /** What a connection costs that is alone, with many workers beside that with one. */
  async lone(): Promise<void> {
    if (!this.#options.engines.includes('epoll')) return;
    const [one, many] = [edgeproxy('epoll', 1), edgeproxy('epoll', MANY_WORKERS)];
    const running = [await one.start(this.#bench, this.#backends), await many.start(this.#bench, this.#backends)];
    const cost = ({ httpPort, pids }: Contestant, seconds: number) =>
      cpuOfAConnection(this.#bench, httpPort, pids, seconds, 1);
    for (const contestant of running) await cost(contestant, WARM_UP_SECONDS);
    for (let round = 0; round < this.#options.rounds; round++) {
      const costs = new Map<Contestant, number>();
      for (const contestant of turned(running, round))
        costs.set(contestant, await cost(contestant, this.#options.seconds));
      this.#note(round, MEASURES.lone, many.name, costs.get(running[1]!)! / costs.get(running[0]!)!, many.kind);
    }
    for (const { stop } of running) await stop();
  }

  /** Traffic, alone and mixed, and latency, on proxies that keep running. Gives what the latency was measured at. */
  async load(parts: readonly Part[]): Promise<LatencyPlan | null> {
    const { rounds, seconds } = this.#options;
    const contestants: Contestant[] = [];
    for (const entrant of this.#entrants) contestants.push(await entrant.start(this.#bench, this.#backends));
    const plan = await this.#prepare(parts, contestants);
    for (let round = 0; round < rounds; round++) {
      for (const { measure, isOfOurs, run } of parts.includes('traffic') ? TRAFFIC : []) {
        for (const contestant of turned(contestants, round)) {
          if (isOfOurs === true && this.#kindOf(contestant.name) === null) continue;
          this.#note(round, measure, contestant.name, await run(this.#bench, contestant, seconds));
        }
      }
      if (parts.includes('mixed')) await this.#mixes(round, turned(contestants, round));
      if (plan !== null) await this.#latencies(round, turned(contestants, round), plan);
    }
    for (const { stop } of contestants) await stop();
    return plan;
  }

  async #prepare(parts: readonly Part[], contestants: readonly Contestant[]): Promise<LatencyPlan | null> {
    if (parts.includes('traffic') || parts.includes('mixed')) {
      for (const { name, httpPort } of contestants) {
        this.#say(`warming up: ${name}`);
        await wrk(this.#bench, httpPort, WARM_UP_SECONDS, SHORT_CONNECTION);
      }
    }
    if (!parts.includes('latency')) return null;
    return planLatency(this.#bench, contestants, this.#backends, this.#options.seconds, this.#say);
  }

  async #mixes(round: number, contestants: readonly Contestant[]): Promise<void> {
    for (const { streams, ...measures } of MIXES) {
      for (const contestant of contestants) {
        const { p50, p99, bytes } = await mixed(this.#bench, contestant, streams, this.#options.seconds);
        this.#note(round, measures.p50, contestant.name, p50);
        this.#note(round, measures.p99, contestant.name, p99);
        this.#note(round, measures.bytes, contestant.name, bytes);
      }
    }
  }

  async #latencies(round: number, contestants: readonly Contestant[], plan: LatencyPlan): Promise<void> {
    const measured = async (target: Pick<Contestant, 'name' | 'httpPort'>) => {
      const report = await latency(this.#bench, target, plan, this.#options.seconds);
      this.#note(round, MEASURES.p50, target.name, report.p50);
      this.#note(round, MEASURES.p99, target.name, report.p99);
      const delay = report.delayP99 === null ? 'none: overloaded' : `${figure(report.delayP99)} us`;
      this.#say(`  the generator's own delay, p99: ${delay}`);
      return report;
    };
    const direct = await measured(directTo(this.#backends));
    for (const contestant of contestants) {
      const { p50, p99 } = await measured(contestant);
      this.#note(round, MEASURES.addedP50, contestant.name, p50 - direct.p50);
      this.#note(round, MEASURES.addedP99, contestant.name, p99 - direct.p99);
    }
  }

  #kindOf(name: string): Kind | null {
    return this.#entrants.find((entrant) => entrant.name === name)?.kind ?? null;
  }

  #note(round: number, measure: Measure, name: string, value: number, kind = this.#kindOf(name)): void {
    this.#results.note(measure, { name, kind }, value);
    const of = `round ${round + 1} of ${this.#options.rounds}`;
    this.#say(`${of}: ${measure.name}: ${name}: ${figure(value)} ${measure.unit}`);
  }
}

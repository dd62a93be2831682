import { REFUSAL_REASONS } from '../../src/domain/entities.ts';
import { until } from '../fixtures/until.ts';
import { type ExplainedVisit, Visits } from './explained-visit.ts';
import type { Narrator } from './narrator.ts';
import {
  BACKENDS,
  BRAZILIAN,
  FIRST_VISITS,
  GERMAN,
  HOLDER,
  OTHER_BRAZILIAN,
  OTHER_GERMANS,
  POP_REGION,
  passerBy,
} from './places.ts';
import type { Stage } from './stage.ts';
import type { Visitor } from './visitor.ts';

/** The steps of the demo, in their order. Each one checks what it tells, and throws when it is not so. */
export class Story {
  readonly #stage: Stage;
  readonly #narrator: Narrator;
  readonly #visits: Visits;
  /** Connections that were made to the proxy. */
  #connections = 0;

  constructor(stage: Stage, narrator: Narrator) {
    this.#stage = stage;
    this.#narrator = narrator;
    this.#visits = new Visits(stage);
  }

  async tell(): Promise<void> {
    await this.#start();
    await this.#geography();
    await this.#affinity();
    await this.#hardLimit();
    await this.#disableLive();
    const holder = await this.#killWorker();
    await this.#roll(holder);
    await this.#books();
  }

  async #start(): Promise<void> {
    this.#narrator.step('Start: three HTTP backends in three regions, a routing database, and the proxy in front');
    await this.#stage.set();
    const rows = BACKENDS.map(({ id, region, country, hardLimit }) => {
      const limit = hardLimit === 0 ? '' : `at most ${hardLimit} connections`;
      return [id, `127.0.0.1:${this.#stage.ports.get(id)}`, region, country, limit];
    });
    this.#narrator.table([['backend', 'address', 'region', 'country', 'hard limit'], ...rows]);
    const { pid, port } = this.#stage.proxy;
    const workers = await this.#servingPids();
    this.#narrator.say();
    this.#narrator.say(`edgeProxy for region ${POP_REGION} listens on 127.0.0.1:${port}`);
    this.#narrator.claim(workers.length === 2, `primary: pid ${pid}; workers: pids ${workers.join(' and ')}`, workers);
  }

  async #geography(): Promise<void> {
    this.#narrator.step('First visits: each client goes to the nearest backend');
    const rows: string[][] = [['client', 'country', 'backend', 'why']];
    for (const { address, backend } of FIRST_VISITS) {
      const visit = await this.#visit(address);
      expect(visit, backend, 'picked');
      rows.push([address, visit.country ?? '-', visit.backend, visit.reason]);
      await this.#visits.connections(0);
    }
    await this.#visits.confirm();
    this.#narrator.table(rows);
    this.#narrator.say();
    this.#narrator.say('The explain API foretold each of these, and the access log confirms them.');
  }

  async #affinity(): Promise<void> {
    this.#narrator.step('A second visit: a client stays with its backend');
    await this.#tellVisit(BRAZILIAN, 'sao-paulo', 'bound');
    await this.#visits.confirm();
  }

  async #hardLimit(): Promise<void> {
    this.#narrator.step('A hard limit: two other clients fill frankfurt, which takes no third');
    const others = OTHER_GERMANS.map((address) => this.#arrive(address));
    for (const other of others) await this.#stays(other, 'frankfurt');
    await this.#tellVisit(GERMAN, 'sao-paulo', 'overflow');
    for (const other of others) other.leave();
    await this.#visits.connections(0);
    this.#narrator.say('The two leave.');
    await this.#tellVisit(GERMAN, 'frankfurt', 'bound');
    await this.#visits.confirm();
  }

  async #disableLive(): Promise<void> {
    this.#narrator.step('A backend is disabled while the proxy runs: its clients move');
    const open = this.#arrive(BRAZILIAN);
    await this.#stays(open, 'sao-paulo');
    await this.#edit('disable', 'sao-paulo', 'unhealthy');
    await this.#tellVisit(BRAZILIAN, 'virginia', 'rebound');
    await this.#stillServed(open, 'sao-paulo');
    open.leave();
    await this.#edit('enable', 'sao-paulo', 'serving');
    await this.#tellVisit(BRAZILIAN, 'virginia', 'bound');
    await this.#tellVisit(OTHER_BRAZILIAN, 'sao-paulo', 'picked');
    await this.#visits.confirm();
    await this.#visits.connections(0);
  }

  async #killWorker(): Promise<Visitor> {
    this.#narrator.step('A worker is killed (kill -9): nobody else notices');
    const holder = this.#arrive(HOLDER);
    await this.#stays(holder, 'virginia');
    const { proxy } = this.#stage;
    const victim = (await proxy.serving()).find(({ connections }) => connections === 0);
    if (victim === undefined) throw new Error('no worker is without a connection');
    process.kill(victim.pid, 'SIGKILL');
    const served = await Promise.all(Array.from({ length: 20 }, (_, n) => this.#passBy(n)));
    this.#narrator.say(`Worker ${victim.pid} is killed, and 20 new clients connect at that moment.`);
    this.#narrator.claim(served.length === 20, `${served.length} served, 0 refused`);
    await this.#stillServed(holder, 'virginia');
    const pids = await until('a new worker', async () => {
      const serving = await this.#servingPids();
      return serving.length === 2 && serving;
    });
    this.#narrator.claim(!pids.includes(victim.pid), `the workers are now ${pids.join(' and ')}`, pids);
    return holder;
  }

  async #roll(holder: Visitor): Promise<void> {
    this.#narrator.step('The workers are rolled (SIGUSR2), while clients come without a pause');
    const { proxy } = this.#stage;
    const old = await this.#servingPids();
    let rolling = true;
    const rolled = proxy.logged('roll finished').finally(() => {
      rolling = false;
    });
    // Awaited below; a visit that fails before comes first.
    rolled.catch(() => {});
    proxy.signal('SIGUSR2');
    let served = 0;
    while (rolling) {
      await this.#passBy(served);
      served++;
    }
    await rolled;
    this.#narrator.claim(served > 0, `${served} served meanwhile, 0 refused`);
    await this.#stillServed(holder, 'virginia');
    holder.leave();
    const pids = await until('the old workers to leave', async () => {
      const left = (await proxy.workers()).map(({ pid }) => pid);
      return left.length === 2 && !left.some((pid) => old.includes(pid)) && left;
    });
    const text = `${holder.address} leaves, and the last old worker with it; the workers are now ${pids.join(' and ')}`;
    this.#narrator.say(text);
  }

  async #books(): Promise<void> {
    this.#narrator.step('The books, and the stop');
    await this.#visits.connections(0);
    const { proxy } = this.#stage;
    const counted = await proxy.metric('edgeproxy_connections_total');
    const text = `edgeproxy_connections_total is ${this.#connections}: each connection of this demo, counted once`;
    this.#narrator.claim(counted === this.#connections, text, counted);
    const refused = await this.#refused();
    this.#narrator.claim(refused === 0, 'no connection was refused, and no slot is held', refused);
    const code = await this.#stage.stopProxy();
    this.#narrator.claim(code === 0, 'The proxy drains and ends with exit code 0.', code);
  }

  /** A client that will stay. */
  #arrive(address: string): Visitor {
    this.#connections++;
    return this.#stage.visitor(address);
  }

  async #stays(visitor: Visitor, backend: string): Promise<void> {
    const served = await visitor.get();
    const text = `${visitor.address} -> ${backend}, and holds its connection`;
    this.#narrator.claim(served === backend, text, served);
  }

  async #stillServed(visitor: Visitor, backend: string): Promise<void> {
    const served = await visitor.get();
    const text = `${visitor.address} -> ${backend} again, over the connection that it held all the time`;
    this.#narrator.claim(served === backend, text, served);
  }

  async #passBy(n: number): Promise<string> {
    const visitor = this.#arrive(passerBy(n));
    const backend = await visitor.get();
    visitor.leave();
    return backend;
  }

  #visit(address: string): Promise<ExplainedVisit> {
    this.#connections++;
    return this.#visits.visit(address);
  }

  async #tellVisit(address: string, backend: string, why: ExplainedVisit['why']): Promise<void> {
    const visit = await this.#visit(address);
    expect(visit, backend, why);
    this.#narrator.say(`${address} ${visit.country} -> ${visit.backend}: ${visit.reason}`);
  }

  /** Edits the routing database as an operator does; resolves when the proxy shows it. */
  async #edit(change: 'disable' | 'enable', id: string, state: string): Promise<void> {
    const { proxy } = this.#stage;
    this.#narrator.say(`$ edgeproxy backends ${change} ${id}`);
    await this.#stage.command('backends', change, id);
    await until(`${id} to be ${state}`, async () =>
      (await proxy.backends()).some((row) => row.id === id && row.state === state),
    );
  }

  /** Clients turned away, whatever the reason. */
  async #refused(): Promise<number> {
    const reasons = REFUSAL_REASONS.map((reason) => `edgeproxy_refused_total{reason="${reason}"}`);
    const counts = await Promise.all(reasons.map((name) => this.#stage.proxy.metric(name)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #servingPids(): Promise<number[]> {
    return (await this.#stage.proxy.serving()).map(({ pid }) => pid);
  }
}

function expect(visit: ExplainedVisit, backend: string, why: ExplainedVisit['why']): void {
  if (visit.backend === backend && visit.why === why) return;
  const { client } = visit;
  throw new Error(
    `${client} should be ${why} to ${backend}, and was ${visit.why} to ${visit.backend} (${visit.reason})`,
  );
}

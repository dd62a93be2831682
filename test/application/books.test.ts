import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { keepsBound } from '../../src/application/decide-backend.ts';
import type { Backend } from '../../src/domain/entities.ts';
import { exclusion, isFull } from '../../src/domain/services/load-balancer.ts';
import { backendsArbitrary } from '../domain/arbitraries.ts';
import { Rig, TTL_MS } from './rig.ts';

const CLIENTS = ['10.0.0.1', '10.0.0.2', '2001:db8::1', '2001:db8:0:1::1'];
const WORKERS = [1, 2, 3];

const worker = fc.constantFrom(...WORKERS);
const nth = fc.nat(30);
const open = fc.record({ do: fc.constant('open' as const), worker, client: fc.nat(3), listener: fc.nat(1) });
const step = fc.oneof(
  { weight: 6, arbitrary: open },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'connected' as const,
        'failed' as const,
        'failed' as const,
        'closed' as const,
        'abandoned' as const,
      ),
      nth,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('killed' as const, 'noise' as const), worker }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('table' as const), table: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, TTL_MS - 1, TTL_MS) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A connection as its worker sees it; it has a slot while it is in the list. */
interface Connection {
  readonly worker: number;
  readonly seq: number;
  readonly client: string;
  readonly listener: number;
  readonly tried: readonly string[];
  readonly backend: string;
  connected: boolean;
}

/** Plays workers against the primary, and holds what the primary says against the rules and against its own counts. */
class Play {
  readonly rig = new Rig({ countries: { '10.0.0.1/32': 'DE', '2001:db8::/64': 'BR' } });
  readonly #tables: readonly (readonly Backend[])[];
  #installing: Promise<unknown> = Promise.resolve();
  #seq = 0;
  #opened = 0;
  open: Connection[] = [];
  readonly #incarnations = new Map(WORKERS.map((worker) => [worker, worker]));

  constructor(tables: readonly (readonly Backend[])[]) {
    this.#tables = tables;
    for (const worker of WORKERS) this.rig.service.workerJoined(worker);
  }

  async run(step: Step): Promise<void> {
    if (step.do === 'open') this.#open(step.worker, CLIENTS[step.client]!, step.listener, []);
    else if (step.do === 'table') await this.#swap(step.table);
    else if (step.do === 'wait') this.rig.now += step.ms;
    else if ('nth' in step) this.#report(step.do, step.nth);
    else if (step.do === 'killed') this.#kill(step.worker);
    else this.#noise(step.worker);
    // A table that is being installed gets on by one slice, so that counts change while it does.
    await nextTurn();
    this.#check();
  }

  async end(): Promise<void> {
    await this.#installing;
    this.#check();
    while (this.open.length > 0) this.#report('closed', 0);
    this.#check();
    this.rig.now += TTL_MS;
    this.rig.bindings.sweep(this.rig.now, 1000);
    same('bindings at the end', this.rig.bindings.size, 0);
    same('slots at the end', this.rig.ledger.total, 0);
  }

  /** The swap itself happens some slices later. */
  async #swap(number: number): Promise<void> {
    await this.#installing;
    this.#installing = this.rig.install(this.#tables[number]!);
  }

  #open(worker: number, client: string, listener: number, tried: readonly string[]): void {
    const { rig } = this;
    const { table } = rig.routing;
    const { app } = rig.listeners[listener]!;
    const incarnation = this.#incarnations.get(worker)!;
    const bound = rig.boundTo(client, app);
    const before = new Map(rig.ledger.counts());
    const connections = (id: string) => before.get(id) ?? 0;
    const seq = ++this.#seq;
    if (tried.length === 0) this.#opened++;
    const answer = rig.pick(seq, client, { worker: incarnation, listener, tried });
    if (answer === null) throw new Error('a proper request was ignored');
    const boundRow = bound === null ? undefined : table.find(bound);
    const mayStay = boundRow !== undefined && keepsBound(boundRow, app) && !tried.includes(boundRow.id);
    const rows = Array.from(table.slotsBehind(), (slot) => table.backend(slot));
    const candidates = rows.filter((row) => exclusion(row, app, connections(row.id), tried) === null);
    if (answer.kind === 'refused') {
      same('candidates of a refused client', candidates.length, 0);
      same('its binding may serve', mayStay && !isFull(connections(boundRow.id), boundRow), false);
      return;
    }
    const { backendId, why } = answer;
    const row = table.find(backendId);
    if (row === undefined || !keepsBound(row, app) || tried.includes(backendId))
      throw new Error(`${backendId} may not serve`);
    if (row.hardLimit > 0 && rig.ledger.connectionsOf(backendId) > row.hardLimit)
      throw new Error(`${backendId} is over its limit`);
    // A client that is bound nowhere usable gets one of the candidates; only a bound one may go to a draining backend.
    if (why === 'picked' || why === 'rebound' || why === 'overflow')
      same('is a candidate', candidates.includes(row), true);
    if (why === 'bound') same('the bound backend', backendId, bound);
    if (tried.length === 0 && mayStay)
      same('why', why, isFull(connections(boundRow.id), boundRow) ? 'overflow' : 'bound');
    if (tried.length === 0 && bound !== null && !mayStay) same('why', why, 'rebound');
    this.open.push({ worker, seq, client, listener, tried, backend: backendId, connected: false });
  }

  #report(what: string, nth: number): void {
    const { service } = this.rig;
    const connection = this.open[nth % Math.max(1, this.open.length)];
    if (connection === undefined) return;
    const { worker, seq, client, listener, tried, backend } = connection;
    const incarnation = this.#incarnations.get(worker)!;
    if (what === 'connected') {
      same('connected is taken', this.rig.connected(seq, incarnation), !connection.connected);
      connection.connected = true;
      return;
    }
    this.open = this.open.filter((other) => other !== connection);
    if (what === 'closed' || connection.connected) same('closed is taken', this.rig.closed(seq, incarnation), true);
    else if (what === 'abandoned') service.abandoned(incarnation, seq, this.rig.now);
    else {
      same('failed is taken', this.rig.failed(seq, incarnation), true);
      if (tried.length < 2) this.#open(worker, client, listener, [...tried, backend]);
    }
    same('a second report', this.rig.closed(seq, incarnation), false);
  }

  #kill(worker: number): void {
    const held = this.open.filter((connection) => connection.worker === worker);
    const incarnation = this.#incarnations.get(worker)!;
    same('connections cut', this.rig.service.workerLeft(incarnation), held.length);
    this.open = this.open.filter((connection) => connection.worker !== worker);
    this.#incarnations.set(worker, incarnation + WORKERS.length);
    this.rig.service.workerJoined(incarnation + WORKERS.length);
  }

  /** Reports of nothing, which change nothing: the check after the step sees to it. */
  #noise(worker: number): void {
    const dead = this.#incarnations.get(worker)! - WORKERS.length;
    for (const incarnation of [dead, this.#incarnations.get(worker)!]) {
      const taken = this.rig.connected(99_999, incarnation) || this.rig.closed(99_999, incarnation);
      same('a report of nothing', taken || this.rig.failed(99_999, incarnation), false);
    }
    same('a pick of the dead', this.rig.got(1, CLIENTS[0]!, { worker: dead }), 'nothing');
  }

  #check(): void {
    const { rig } = this;
    same('slots', rig.ledger.total, this.open.length);
    same('leases', rig.ledger.leases.size, this.open.length);
    for (const id of new Set(this.open.map(({ backend }) => backend))) {
      const count = this.open.filter(({ backend }) => backend === id).length;
      same(`connections of ${id}`, rig.ledger.connectionsOf(id), count);
    }
    for (const client of CLIENTS) {
      for (const [listener, { app }] of rig.listeners.entries()) {
        const held = this.open.filter((connection) => connection.client === client && connection.listener === listener);
        same(`open connections of ${client} ${app}`, rig.openConnections(client, app), held.length);
      }
    }
    same('clients accepted', rig.metrics.counts.accepted ?? 0, this.#opened);
  }
}

t.test('whatever workers, clients, time and tables do, the books are right and no limit is passed', async (t) => {
  const table = backendsArbitrary({ maxRows: 8, apps: ['', 'game', 'game'] });
  const served: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(table, table, table),
      fc.array(step, { maxLength: 100, size: 'max' }),
      async (tables, steps) => {
        const play = new Play(tables);
        await play.run({ do: 'table', table: 0 });
        for (const step of steps) await play.run(step);
        await play.end();
        for (const [name, count] of Object.entries(play.rig.metrics.counts)) served[name] = (served[name] ?? 0) + count;
      },
    ),
    { numRuns: 250 },
  );
  for (const why of ['picked', 'bound', 'rebound', 'overflow', 'retried'])
    t.ok((served[`picked ${why}`] ?? 0) > 0, `${why} came to pass`);
});

function same(what: string, got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Error(`${what}: ${String(got)}, should be ${String(wanted)}`);
}

import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../../src/domain/entities.ts';
import {
  type PickClient,
  preferredRegion,
  scanPick,
  TIE_WINDOW,
  TIERS,
  tierOf,
} from '../../../src/domain/services/load-balancer.ts';
import { PickIndex } from '../../../src/domain/services/pick-index.ts';
import { REGIONS, type RegionCode } from '../../../src/domain/value-objects.ts';
import { backendsArbitrary, buildIndex, openTable, toEnd } from '../arbitraries.ts';

const LISTENERS = [{ app: '' }, { app: 'a' }, { app: 'b' }];

interface Ask {
  readonly client: PickClient;
  readonly popRegion: RegionCode;
  /** Row numbers; those beyond the table are ids that nobody knows. */
  readonly tried: readonly number[];
}

const hash = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 0xffffffff, 5812287));
const geo = fc.option(
  fc.record({ country: fc.constantFrom('BR', 'US', 'DE', 'EG', 'ZA'), region: fc.constantFrom(...REGIONS) }),
);
const ask: fc.Arbitrary<Ask> = fc.record({
  client: fc.record({ app: fc.constantFrom('', 'a', 'b'), hash, geo }),
  popRegion: fc.constantFrom(...REGIONS),
  tried: fc.array(fc.nat(8), { maxLength: 4 }),
});
const change = fc.record({ row: fc.nat(59), connections: fc.nat(6) });
const counts = fc.array(fc.nat(6), { minLength: 60, maxLength: 60 });

/** Compares the index with the scan; throws where they differ. */
class Pair {
  readonly #backends: readonly Backend[];
  readonly #table;
  readonly #counts: Map<string, number>;
  readonly #index: PickIndex;
  /** How often a full backend stood in the way. */
  passed = 0;

  constructor(backends: readonly Backend[], counts: readonly number[]) {
    this.#backends = backends;
    this.#table = openTable(backends, LISTENERS);
    this.#counts = new Map(backends.map(({ id }, i) => [id, counts[i] ?? 0]));
    this.#index = new PickIndex(this.#table);
  }

  /** Builds the index; `between` is called between its slices. */
  build(between: () => void = () => {}): void {
    const work = this.#index.build((id) => this.#counts.get(id) ?? 0);
    while (!work.next().done) between();
  }

  change(row: number, connections: number): void {
    const id = this.#backends[row]?.id ?? `unknown-${row}`;
    this.#counts.set(id, connections);
    this.#index.connectionsChanged(id, connections);
  }

  check({ client, popRegion, tried }: Ask): string | null {
    const ids = tried.map((row) => this.#backends[row]?.id ?? `unknown-${row}`);
    const scanned = scanPick(this.#table, (id) => this.#counts.get(id) ?? 0, client, popRegion, ids);
    const picked = this.#index.pick(client, popRegion, ids);
    const name = (slot: number) => (slot < 0 ? null : this.#table.idOf(slot));
    if (picked !== scanned) throw new Error(`the index picks ${name(picked)}, the scan ${name(scanned)}`);
    const passesFull = this.#index.passesFull(client, popRegion, ids);
    // Whom it would get were nobody full.
    const free = scanPick(this.#table, () => 0, client, popRegion, ids);
    if (passesFull !== this.#tier(free, client, popRegion) < this.#tier(picked, client, popRegion))
      throw new Error(`${name(picked)} instead of ${name(free)}, and passesFull is ${passesFull}`);
    if (passesFull) this.passed++;
    return name(picked);
  }

  #tier(slot: number, { app, geo }: PickClient, popRegion: RegionCode): number {
    if (slot < 0) return TIERS;
    const preferred = preferredRegion(geo, (region) => this.#table.hasServing(app, region));
    return tierOf(this.#table.backend(slot), geo?.country ?? null, preferred, popRegion);
  }
}

t.test('the index picks what the scan picks, whatever the counts and while they change', async (t) => {
  const step = fc.oneof(ask, change);
  let served = 0;
  let passed = 0;
  fc.assert(
    fc.property(
      backendsArbitrary(),
      counts,
      fc.array(step, { maxLength: 40, size: 'max' }),
      (backends, counts, steps) => {
        const pair = new Pair(backends, counts);
        pair.build();
        for (const step of steps) {
          if ('row' in step) pair.change(step.row, step.connections);
          else if (pair.check(step) !== null) served++;
        }
        passed += pair.passed;
      },
    ),
    { numRuns: 600 },
  );
  t.ok(served > 1000, 'most picks find a backend');
  t.ok(passed > 100, 'and some pass over full ones');
});

t.test('the index agrees with the scan when counts changed between the slices of its build', async (t) => {
  const between = fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 40, size: 'max' });
  fc.assert(
    fc.property(
      backendsArbitrary({ minRows: 5 }),
      counts,
      between,
      fc.array(ask, { minLength: 20, maxLength: 20 }),
      (backends, counts, between, asks) => {
        const pair = new Pair(backends, counts);
        const queue = [...between];
        pair.build(() => {
          for (const { row, connections } of queue.shift() ?? []) pair.change(row, connections);
        });
        for (const ask of asks) pair.check(ask);
      },
    ),
    { numRuns: 200 },
  );
  t.pass('equal');
});

t.test(
  'the index agrees with the scan when more than TIE_WINDOW backends tie, also around the end of the ring',
  async (t) => {
    const alike: fc.Arbitrary<Backend[]> = fc
      .integer({ min: TIE_WINDOW - 1, max: 4 * TIE_WINDOW })
      .map((rows) => Array.from({ length: rows }, (_, i) => alikeBackend(i)));
    fc.assert(
      fc.property(
        alike,
        fc.array(change, { maxLength: 10 }),
        fc.array(ask, { minLength: 30, maxLength: 30 }),
        (backends, changes, asks) => {
          const pair = new Pair(backends, []);
          pair.build();
          for (const { row, connections } of changes) pair.change(row, connections);
          for (const ask of asks) pair.check({ ...ask, client: { ...ask.client, app: '' } });
        },
      ),
      { numRuns: 60 },
    );
    t.pass('equal');
  },
);

t.test('a group larger than a slice stays true while counts change inside it', async (t) => {
  const backends = Array.from({ length: 9000 }, (_, i) => alikeBackend(i));
  const table = openTable(backends, [{ app: '' }]);
  const counts = new Map<string, number>();
  const index = new PickIndex(table);
  let slices = 0;
  // Every backend but one gets a connection, some before they are entered and some after.
  const work = index.build((id) => counts.get(id) ?? 0);
  while (!work.next().done) {
    slices++;
    for (let i = slices - 1; i < backends.length - 1; i += 8) {
      counts.set(`b${i}`, 1);
      index.connectionsChanged(`b${i}`, 1);
    }
  }
  t.equal(slices, 6, 'the groups of all and of the region, in three slices each');
  const left = [...backends.keys()].filter((i) => !counts.has(`b${i}`));
  const client: PickClient = { app: '', hash: 12345, geo: null };
  const picks = new Set<number>();
  for (const _ of left) {
    const slot = index.pick(client, 'eu', []);
    t.equal(counts.get(table.idOf(slot)), undefined, 'one without a connection');
    picks.add(slot);
    index.connectionsChanged(table.idOf(slot), 1);
    counts.set(table.idOf(slot), 1);
    if (picks.size === 20) break;
  }
  t.equal(picks.size, 20);
});

t.test('a pick with tried backends leaves the index as it was', async (t) => {
  const backends = [alikeBackend(0), alikeBackend(1)];
  const table = openTable(backends, [{ app: '' }]);
  const index = buildIndex(table, (id) => (id === 'b0' ? 1 : 3));
  const client: PickClient = { app: '', hash: 1, geo: null };
  t.equal(table.idOf(index.pick(client, 'eu', ['b0', 'b0', 'nobody'])), 'b1');
  t.equal(index.pick(client, 'eu', ['b1', 'b0', 'b1']), -1);
  t.equal(table.idOf(index.pick(client, 'eu', [])), 'b0', 'still the one with fewer connections');
  index.connectionsChanged('b0', 5);
  t.equal(table.idOf(index.pick(client, 'eu', [])), 'b1');
});

t.test('an empty table and an app without backends serve nobody', async (t) => {
  const client: PickClient = { app: 'a', hash: 1, geo: { country: 'DE', region: 'eu' } };
  t.equal(buildIndex(openTable([], LISTENERS)).pick(client, 'eu', []), -1);
  t.equal(buildIndex(openTable([{ ...alikeBackend(0), app: 'b' }], LISTENERS)).pick(client, 'eu', []), -1);
  const empty = new PickIndex(openTable([], LISTENERS));
  toEnd(empty.build(() => 0));
  t.doesNotThrow(() => empty.connectionsChanged('gone', 1), 'a count of a backend that is no longer in the table');
});

function alikeBackend(i: number): Backend {
  return {
    id: `b${i}`,
    app: '',
    region: 'eu',
    country: null,
    host: '10.0.0.1',
    port: 1,
    healthy: true,
    weight: 1,
    softLimit: 10,
    hardLimit: 0,
    deleted: false,
  };
}

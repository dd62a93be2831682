import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../../src/domain/entities.ts';
import { hashText } from '../../../src/domain/hash.ts';
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
import { backendsArbitrary, COLLIDING_IDS } from '../arbitraries.ts';

const APPS = ['', 'a', 'b'];

interface Ask {
  readonly client: PickClient;
  readonly popRegion: RegionCode;
  readonly tried: readonly number[];
}

/** What may happen to a slot, and to a row of the table that it is written with. */
type Step =
  | Ask
  | { readonly put: number; readonly row: Backend }
  | { readonly remove: number }
  | { readonly slot: number; readonly connections: number }
  | { readonly slot: number; readonly weight: number }
  | { readonly slot: number; readonly up: boolean };

const hash = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 0xffffffff, 5812287));
const geo = fc.option(
  fc.record({ country: fc.constantFrom('BR', 'US', 'DE', 'EG', 'ZA'), region: fc.constantFrom(...REGIONS) }),
);
const ask = (slots: number, apps: readonly string[]): fc.Arbitrary<Ask> =>
  fc.record({
    client: fc.record({ app: fc.constantFrom(...apps), hash, geo }),
    popRegion: fc.constantFrom(...REGIONS),
    tried: fc.array(fc.nat(slots + 2), { maxLength: 4 }),
  });

/** The index, and what the plain scan needs; throws where they differ. */
class Pair {
  readonly #rows = new Map<number, Backend>();
  readonly #counts = new Map<number, number>();
  readonly #down = new Set<number>();
  readonly #weights = new Map<number, number>();
  readonly #index = new PickIndex(APPS, (slot) => this.#counts.get(slot) ?? 0);
  served = 0;
  /** How often a full backend stood in the way. */
  passed = 0;

  do(step: Step): void {
    if ('client' in step) {
      this.#check(step);
    } else if ('put' in step) {
      this.#rows.set(step.put, step.row);
      this.#weights.delete(step.put);
      this.#index.put(step.put, step.row);
    } else if ('remove' in step) {
      this.#rows.delete(step.remove);
      this.#down.delete(step.remove);
      this.#weights.delete(step.remove);
      this.#index.remove(step.remove);
    } else if ('connections' in step) {
      this.#counts.set(step.slot, step.connections);
      this.#index.setLoad(step.slot, step.connections);
    } else if ('weight' in step) {
      if (this.#rows.has(step.slot)) this.#weights.set(step.slot, step.weight);
      this.#index.setWeight(step.slot, step.weight);
    } else {
      if (step.up) this.#down.delete(step.slot);
      else if (this.#rows.has(step.slot)) this.#down.add(step.slot);
      this.#index.setUp(step.slot, step.up);
    }
  }

  /** The rows as they are meant now. */
  #resulting(): Map<number, Backend> {
    return new Map(
      Array.from(this.#rows, ([slot, row]) => {
        const weight = this.#weights.get(slot) ?? row.weight;
        return [slot, { ...row, weight, healthy: row.healthy && !this.#down.has(slot) }];
      }),
    );
  }

  #check({ client, popRegion, tried }: Ask): void {
    const rows = this.#resulting();
    const ids = tried.flatMap((slot) => rows.get(slot)?.id ?? []);
    const scanned = scanPick(rows, (slot) => this.#counts.get(slot) ?? 0, client, popRegion, ids);
    const picked = this.#index.pick(client, popRegion, tried);
    const name = (slot: number) => rows.get(slot)?.id ?? null;
    if (picked !== scanned) throw new Error(`the index picks ${name(picked)}, the scan ${name(scanned)}`);
    const serves = (region: RegionCode) =>
      [...rows.values()].some(
        (row) =>
          row.region === region && row.healthy && !row.deleted && row.weight > 0 && ['', row.app].includes(client.app),
      );
    for (const region of REGIONS)
      if (this.#index.hasServing(client.app, region) !== serves(region)) throw new Error(`hasServing of ${region}`);
    if (this.#index.hasServing(client.app) !== REGIONS.some(serves)) throw new Error('hasServing of all');

    const preferred = preferredRegion(client.geo, serves);
    const tier = (slot: number) =>
      slot < 0 ? TIERS : tierOf(rows.get(slot)!, client.geo?.country ?? null, preferred, popRegion);
    const passesFull = this.#index.passesFull(client, popRegion, tried);
    // Whom it would get were nobody full.
    const free = scanPick(rows, () => 0, client, popRegion, ids);
    if (passesFull !== tier(free) < tier(picked))
      throw new Error(`${name(picked)} instead of ${name(free)}, and passesFull is ${passesFull}`);
    if (passesFull) this.passed++;
    if (picked >= 0) this.served++;
  }
}

/** Rows of the tables, and steps that write and remove any of them, at the slot of its id. */
function stepsFor(
  rows: readonly Backend[],
  versions: readonly Backend[],
  apps: readonly string[],
): fc.Arbitrary<Step[]> {
  const last = Math.max(0, rows.length - 1);
  const slot = fc.nat(last);
  const put = slot.map((i): Step => ({ put: i, row: { ...(versions[i] ?? rows[i]!), id: rows[i]!.id } }));
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: ask(rows.length, apps) },
    { weight: 5, arbitrary: fc.record({ slot, connections: fc.nat(6) }) },
    ...(rows.length === 0 ? [] : [{ weight: 2, arbitrary: put }]),
    { weight: 1, arbitrary: fc.record({ remove: slot }) },
    { weight: 1, arbitrary: fc.record({ slot, weight: fc.constantFrom(0, 1, 2, 5) }) },
    { weight: 1, arbitrary: fc.record({ slot, up: fc.boolean() }) },
  );
  return fc.array(step, { maxLength: 60, size: 'max' });
}

t.test('the index picks what the scan picks, whatever comes, goes and changes', async (t) => {
  let served = 0;
  let passed = 0;
  const tables = fc.tuple(backendsArbitrary(), backendsArbitrary({ minRows: 60 }));
  fc.assert(
    fc.property(
      tables.chain(([rows, versions]) => fc.tuple(fc.constant(rows), stepsFor(rows, versions, APPS))),
      ([rows, steps]) => {
        const pair = new Pair();
        for (const [put, row] of rows.entries()) pair.do({ put, row });
        for (const step of steps) pair.do(step);
        served += pair.served;
        passed += pair.passed;
      },
    ),
    { numRuns: 800 },
  );
  t.ok(served > 1000, 'most picks find a backend');
  t.ok(passed > 100, 'and some pass over full ones');
});

t.test('and among so many that buckets are split and go, also around the end of the ring', async (t) => {
  let served = 0;
  // From just below what makes ties more than a window to some buckets' worth.
  const sizes = fc.integer({ min: TIE_WINDOW - 1, max: 600 });
  const alike = sizes.map((rows) => Array.from({ length: rows }, (_, i) => alikeBackend(i)));
  fc.assert(
    fc.property(
      alike.chain((rows) => fc.tuple(fc.constant(rows), stepsFor(rows, rows, ['']), fc.nat(rows.length))),
      ([rows, steps, left]) => {
        const pair = new Pair();
        for (const [put, row] of rows.entries()) pair.do({ put, row });
        for (const step of steps) pair.do(step);
        for (let remove = left; remove < rows.length; remove++) pair.do({ remove });
        for (const step of steps) pair.do(step);
        served += pair.served;
      },
    ),
    { numRuns: 60 },
  );
  t.ok(served > 500);
});

t.test('equal hashes are in the order of their ids, also where one bucket ends and the next begins', async (t) => {
  const [later, earlier] = [...COLLIDING_IDS].sort().reverse() as [string, string];
  const ringHash = hashText(later);
  t.equal(hashText(earlier), ringHash);
  const before = Array.from({ length: 100_000 }, (_, i) => alikeBackend(i))
    .filter(({ id }) => hashText(id) < ringHash)
    .sort((a, b) => hashText(a.id) - hashText(b.id));
  // However many a bucket takes: each is the last of one once.
  for (let count = 1; count <= 70; count++) {
    const index = new PickIndex([''], (slot) => (slot < count ? 1 : 0));
    for (const [slot, row] of before.slice(0, count).entries()) index.put(slot, row);
    index.put(count, { ...alikeBackend(0), id: later });
    index.put(count + 1, { ...alikeBackend(0), id: earlier });
    t.equal(index.pick({ app: '', hash: 1, geo: null }, 'eu', []), count + 1, `behind ${count} others`);
  }
});

t.test('a pick with tried backends leaves the index as it was', async (t) => {
  const index = new PickIndex([''], (slot) => (slot === 0 ? 1 : 3));
  for (const slot of [0, 1]) index.put(slot, alikeBackend(slot));
  const client: PickClient = { app: '', hash: 1, geo: null };
  t.equal(index.pick(client, 'eu', [0, 0, 7]), 1);
  t.equal(index.pick(client, 'eu', [1, 0, 1]), -1);
  t.equal(index.pick(client, 'eu', []), 0, 'still the one with fewer connections');
  index.setLoad(0, 5);
  t.equal(index.pick(client, 'eu', []), 1);
});

t.test('an empty index and an app without backends serve nobody', async (t) => {
  const client: PickClient = { app: 'a', hash: 1, geo: { country: 'DE', region: 'eu' } };
  const index = new PickIndex(APPS, () => 0);
  t.equal(index.pick(client, 'eu', []), -1);
  t.doesNotThrow(() => index.setLoad(7, 1), 'a count of a backend that is no longer in the table');
  index.put(0, { ...alikeBackend(0), app: 'b' });
  t.equal(index.pick(client, 'eu', []), -1);
  t.equal(index.pick({ ...client, app: 'nobody listens for it' }, 'eu', []), -1);
});

t.test('an index that follows another one knows what was set on it', async (t) => {
  const before = new PickIndex([''], () => 0);
  const rows = Array.from({ length: 4 }, (_, i) => alikeBackend(i));
  for (const [slot, row] of rows.entries()) before.put(slot, row);
  before.setUp(0, false);
  before.setWeight(1, 0);
  before.setWeight(2, 0);
  const after = new PickIndex([''], () => 0);
  const rewritten = { ...rows[2]!, softLimit: 7 };
  for (const [slot, row] of rows.with(2, rewritten).entries()) after.putAsIn(before, slot, row);
  const client: PickClient = { app: '', hash: 1, geo: null };
  t.equal(after.pick(client, 'eu', [3]), 2, 'the one whose row was written has its weight again');
  t.equal(after.pick(client, 'eu', [3, 2]), -1, 'one is down, and one without a weight');
  after.setUp(0, true);
  t.equal(after.pick(client, 'eu', [3, 2]), 0);
  after.setWeight(1, 4);
  t.equal(after.pick(client, 'eu', [3, 2, 0]), 1);
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

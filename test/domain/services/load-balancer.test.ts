import t from 'tap';
import { clientKey, hashClientKey } from '../../../src/domain/client-key.ts';
import type { Backend } from '../../../src/domain/entities.ts';
import {
  exclusion,
  loadTerm,
  type PickClient,
  preferredRegion,
  ringDistance,
  scanPick,
  tierOf,
} from '../../../src/domain/services/load-balancer.ts';
import { REGIONS, type RegionCode } from '../../../src/domain/value-objects.ts';
import { backend } from '../../fixtures/routing-db.ts';
import { buildIndex, clientAddress, openTable, rowsOf } from '../arbitraries.ts';

/** The pick of one client, from the plain scan. */
function pick(
  rows: readonly Partial<Backend>[],
  client: Partial<PickClient>,
  given: { connections?: Record<string, number>; pop?: RegionCode; tried?: string[] } = {},
): string | null {
  const { connections = {}, pop = 'sa', tried = [] } = given;
  const table = openTable(rows.map(backend));
  const full: PickClient = { app: '', hash: 7, geo: null, ...client };
  const slot = scanPick(rowsOf(table), (slot) => connections[table.backend(slot).id] ?? 0, full, pop, tried);
  return slot < 0 ? null : table.backend(slot).id;
}

const german = { country: 'DE', region: 'eu' } as const;

t.test("the tiers: country, region, the POP's region, elsewhere", async (t) => {
  const rows: Partial<Backend>[] = [
    { id: 'country', region: 'eu', country: 'DE' },
    { id: 'region', region: 'eu', country: 'FR' },
    { id: 'pop', region: 'sa' },
    { id: 'elsewhere', region: 'ap' },
  ];
  for (let first = 0; first < rows.length; first++)
    t.equal(
      pick(rows.slice(first), { geo: german }),
      rows[first]!.id,
      `${rows[first]!.id} is the best of what is left`,
    );
  t.equal(pick(rows, { geo: null }), 'pop', 'an unknown country has no preference');
});

t.test('a tier is never crossed by load, however large', async (t) => {
  const rows: Partial<Backend>[] = [
    { id: 'near', region: 'eu', softLimit: 1 },
    { id: 'far', region: 'ap' },
  ];
  t.equal(pick(rows, { geo: german }, { connections: { near: 100_000 } }), 'near');
});

t.test('in a tier the lowest connections / soft limit / weight wins', async (t) => {
  const rows: Partial<Backend>[] = [
    { id: 'a', softLimit: 10, weight: 1 },
    { id: 'b', softLimit: 10, weight: 2 },
    { id: 'c', softLimit: 40, weight: 1 },
  ];
  t.equal(pick(rows, {}, { connections: { a: 1, b: 1, c: 3 } }), 'b', '0.1, 0.05, 0.075');
  t.equal(pick(rows, {}, { connections: { a: 1, b: 2, c: 3 } }), 'c', '0.1, 0.1, 0.075');
  t.equal(loadTerm(3, { softLimit: 0, weight: 2 }), 1.5, 'a soft limit of 0 counts as 1');
});

t.test('what may not be picked, and why', async (t) => {
  const why = (given: Partial<Backend>, connections = 0, tried: string[] = [], app = '') =>
    exclusion(backend({ id: 'x', ...given }), app, connections, tried);
  t.equal(why({}), null);
  t.equal(why({ app: 'game' }, 0, [], 'web'), 'other_app');
  t.equal(why({ app: '' }, 0, [], 'web'), 'other_app', 'a row without an app is of no app');
  t.equal(why({ app: 'game' }), null, 'a listener without an app takes every backend');
  t.equal(why({ deleted: true }), 'deleted');
  t.equal(why({ healthy: false }), 'unhealthy');
  t.equal(why({ weight: 0 }), 'draining');
  t.equal(why({}, 0, ['x']), 'tried');
  t.equal(why({ hardLimit: 2 }, 1), null);
  t.equal(why({ hardLimit: 2 }, 2), 'at_hard_limit');
  t.equal(why({ hardLimit: 2 }, 3), 'at_hard_limit', 'the limit was lowered');
  t.equal(why({ hardLimit: 0 }, 1_000_000), null, '0 is no limit');
  t.equal(pick([{ hardLimit: 1 }], {}, { connections: { 'backend-1': 1 } }), null);
});

t.test('a region without backends falls to its neighbours, in order, before elsewhere', async (t) => {
  const from = (region: RegionCode, ...serving: RegionCode[]) =>
    preferredRegion({ country: 'XX', region }, (region) => serving.includes(region));
  t.equal(from('af', 'af', 'eu'), 'af');
  t.equal(from('af', 'eu', 'us'), 'eu');
  t.equal(from('me', 'eu', 'us'), 'eu');
  t.equal(from('af', 'us', 'ap'), 'us');
  t.equal(from('sa', 'us', 'eu'), 'us');
  t.equal(from('eu', 'us'), 'us');
  t.equal(from('ap', 'us', 'eu'), 'us');
  t.equal(from('eu', 'ap', 'sa', 'me'), null);
  t.equal(
    preferredRegion(null, () => true),
    null,
  );
  t.equal(
    pick(
      [
        { id: 'eu', region: 'eu' },
        { id: 'sa', region: 'sa' },
      ],
      { geo: { country: 'KE', region: 'af' } },
    ),
    'eu',
  );
});

t.test('a region whose backends are all full keeps its neighbours out of tier 1', async (t) => {
  const rows: Partial<Backend>[] = [
    { id: 'full', region: 'af', hardLimit: 1 },
    { id: 'neighbour', region: 'eu' },
    { id: 'pop', region: 'sa' },
  ];
  t.equal(pick(rows, { geo: { country: 'KE', region: 'af' } }, { connections: { full: 1 } }), 'pop');
});

t.test('the tier of every pair of regions', async (t) => {
  for (const region of REGIONS) {
    for (const pop of REGIONS) {
      const expected = region === 'eu' ? 1 : region === pop ? 2 : 3;
      t.equal(tierOf({ country: null, region }, 'DE', 'eu', pop), expected, `${region} seen from ${pop}`);
      t.equal(tierOf({ country: 'DE', region }, 'DE', 'eu', pop), 0);
    }
  }
  t.equal(tierOf({ country: null, region: 'ap' }, null, null, 'eu'), 3, 'two unknown countries are not the same one');
});

t.test('ring distance wraps', async (t) => {
  t.equal(ringDistance(0, 0), 0);
  t.equal(ringDistance(1, 0), 0xffffffff);
  t.equal(ringDistance(0xffffffff, 0), 1);
  t.equal(ringDistance(10, 25), 15);
});

/** How many of `clients` first clients each of `count` equal backends gets when none has a connection. */
function shares(count: number, clients: number, removed = -1): { counts: Map<string, number>; choice: string[] } {
  const rows = Array.from({ length: count }, (_, i) => backend({ id: `backend-${i}` }));
  const table = openTable(rows.filter((_, i) => i !== removed));
  const index = buildIndex(table);
  const counts = new Map<string, number>();
  const choice: string[] = [];
  for (let n = 0; n < clients; n++) {
    const hash = hashClientKey(clientKey('', clientAddress(n)));
    const { id } = table.backend(index.pick({ app: '', hash, geo: null }, 'eu', []));
    counts.set(id, (counts.get(id) ?? 0) + 1);
    choice.push(id);
  }
  return { counts, choice };
}

t.test('equal backends share first clients evenly', async (t) => {
  const clients = 30_000;
  // Of a fair draw, the chi-square statistic of n backends has mean n - 1 and variance 2(n - 1): five deviations are allowed.
  for (const count of [3, 10]) {
    const { counts } = shares(count, clients);
    const fair = clients / count;
    const chiSquare = [...counts.values()].reduce((sum, got) => sum + (got - fair) ** 2 / fair, 0);
    t.equal(counts.size, count);
    t.ok(chiSquare < count - 1 + 5 * Math.sqrt(2 * (count - 1)), `${count} backends: chi-square is ${chiSquare}`);
  }
  // Beyond the window, a backend's share is as large as its neighbours' distances on the ring allow: about a sixth off.
  const { counts } = shares(200, clients);
  const fair = clients / 200;
  const deviation = Math.sqrt([...counts.values()].reduce((sum, got) => sum + (got / fair - 1) ** 2, 0) / 200);
  t.equal(counts.size, 200);
  t.ok(deviation < 0.25, `200 backends: the standard deviation of the shares is ${deviation}`);
  t.ok(
    Math.max(...counts.values()) < 2 * fair && Math.min(...counts.values()) > fair / 3,
    'nobody is forgotten or flooded',
  );
});

t.test('a backend that goes takes only its own clients with it, up to TIE_WINDOW equal ones', async (t) => {
  for (const count of [3, 10, 32]) {
    const before = shares(count, 5000).choice;
    const after = shares(count, 5000, 1).choice;
    const moved = before.filter((id, n) => id !== 'backend-1' && after[n] !== id).length;
    t.equal(moved, 0, `${count} backends`);
    t.ok(before.includes('backend-1') && !after.includes('backend-1'));
  }
});

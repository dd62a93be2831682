import t from 'tap';
import { type BackendsQuery, pageOfBackends } from '../../src/application/page-backends.ts';
import { summarizeBackends } from '../../src/application/summarize-backends.ts';
import { BackendViews } from '../../src/application/view-backends.ts';
import { Rig } from './rig.ts';

/** A page, read at once. */
async function page(rig: Rig, query: Partial<BackendsQuery> = {}) {
  const { backends, ...rest } = await pageOfBackends(rig.routing, rig.ledger, { limit: 100, ...query });
  return { ...rest, backends: [...backends] };
}

t.test('each backend is shown with its slots and its state', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'gone' }]);
  rig.pick(1, '10.0.0.1');
  await rig.serve([{ id: 'leaving' }]);
  rig.pick(2, '10.0.0.2');
  await rig.serve([{ id: 'busy', softLimit: 1, hardLimit: 3 }]);
  rig.pick(3, '10.0.0.3');
  rig.pick(4, '10.0.0.4');
  await rig.serve([{ id: 'full', hardLimit: 1 }]);
  rig.pick(5, '10.0.0.5');
  await rig.serve([
    { id: 'busy', softLimit: 1, hardLimit: 3 },
    { id: 'deleted', deleted: true, healthy: false },
    { id: 'draining', weight: 0 },
    { id: 'full', hardLimit: 1 },
    { id: 'leaving', deleted: true },
    { id: 'serving', softLimit: 0, host: '10.0.0.7', country: 'DE' },
    { id: 'unhealthy', healthy: false, weight: 0 },
  ]);
  const { backends: views, total, next, version } = await page(rig);
  t.same([total, next, version], [8, null, 5]);
  t.same(
    views.map(({ id, connections, state }) => [id, connections, state]),
    [
      ['busy', 2, 'busy'],
      ['deleted', 0, 'deleted'],
      ['draining', 0, 'draining'],
      ['full', 1, 'full'],
      ['gone', 1, 'gone'],
      ['leaving', 1, 'draining'],
      ['serving', 0, 'serving'],
      ['unhealthy', 0, 'unhealthy'],
    ],
  );
  const { states, busiest } = await summarizeBackends(rig.routing, rig.ledger, 3);
  t.same(states, { serving: 1, busy: 1, full: 1, draining: 2, unhealthy: 1, deleted: 1, gone: 1 });
  t.same(
    busiest.map(({ id, connections }) => [id, connections]),
    [
      ['busy', 2],
      ['full', 1],
      ['gone', 1],
    ],
  );
  t.same(views[6], {
    id: 'serving',
    app: '',
    region: 'eu',
    country: 'DE',
    wg_ip: '10.0.0.7',
    port: 9005,
    healthy: true,
    weight: 1,
    soft_limit: 0,
    hard_limit: 0,
    deleted: false,
    connections: 0,
    state: 'serving',
  });
});

/** Whatever happens between two of them: what is asked for page by page. */
async function readPages(rig: Rig, limit: number, between: () => Promise<void> | void = () => {}) {
  const ids: string[] = [];
  let after: string | undefined;
  for (;;) {
    const { backends, next } = await page(rig, { limit, after });
    ids.push(...backends.map(({ id }) => id));
    if (next === null) return ids;
    after = next;
    await between();
  }
}

t.test('pages hold each backend once, in order, those whose row is gone among them', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'c2' }]);
  rig.pick(1, '10.0.0.1');
  await rig.serve([{ id: 'z' }]);
  rig.pick(2, '10.0.0.2');
  await rig.serve(['a', 'b', 'c', 'd', 'e'].map((id) => ({ id })));
  for (let limit = 1; limit <= 8; limit++)
    t.same(await readPages(rig, limit), ['a', 'b', 'c', 'c2', 'd', 'e', 'z'], `${limit} a page`);
  t.match(await page(rig, { limit: 3 }), { total: 7, next: 'c' });
  t.match(await page(rig, { limit: 4, after: 'c' }), { total: 7, next: null }, 'the last page, though it is full');
});

t.test('a page belongs to one version; the next one goes on behind its last id, in whatever serves then', async (t) => {
  const rig = new Rig();
  await rig.serve(['a', 'b', 'c', 'd'].map((id) => ({ id })));
  const first = await pageOfBackends(rig.routing, rig.ledger, { limit: 2 });
  await rig.serve(['a', 'a2', 'b2', 'd'].map((id) => ({ id })));
  t.same(
    [...first.backends].map(({ id }) => id),
    ['a', 'b'],
    'its rows are those of its version, read late as they are',
  );
  t.equal(first.version, 1);
  const second = await page(rig, { limit: 2, after: first.next! });
  t.same([second.version, ...second.backends.map(({ id }) => id)], [2, 'b2', 'd']);
  await rig.serve([{ id: 'c' }, { id: 'd' }]);
  const third = await page(rig, { after: 'b' });
  t.same(
    third.backends.map(({ id }) => id),
    ['c', 'd'],
    'also where all up to it are gone',
  );
});

t.test('what is asked for is told from the rest, on every page', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'old' }]);
  rig.pick(1, '10.0.0.1');
  await rig.serve([
    { id: 'a', app: 'game', region: 'us' },
    { id: 'b', region: 'us', healthy: false },
    { id: 'c', region: 'us' },
    { id: 'd' },
  ]);
  const ids = async (query: Partial<BackendsQuery>) => {
    const { total, next, backends } = await page(rig, query);
    return [total, next, ...backends.map(({ id }) => id)];
  };
  t.same(await ids({ id: 'c' }), [1, null, 'c']);
  t.same(await ids({ id: 'old' }), [1, null, 'old']);
  t.same(await ids({ id: 'nobody' }), [0, null]);
  t.same(await ids({ app: '' }), [3, null, 'b', 'c', 'd'], 'an app without a name is one, too');
  t.same(await ids({ region: 'us' }), [3, null, 'a', 'b', 'c']);
  t.same(await ids({ region: 'us', limit: 1 }), [3, 'a', 'a']);
  t.same(await ids({ region: 'us', limit: 1, after: 'a' }), [3, 'b', 'b']);
  t.same(await ids({ region: 'us', state: 'serving' }), [2, null, 'a', 'c']);
  t.same(await ids({ state: 'gone' }), [1, null, 'old']);
});

t.test('a large table is looked at in slices, between which others run', async (t) => {
  const rig = new Rig();
  await rig.serve(Array.from({ length: 10_000 }, (_, i) => ({ id: `b${i}` })));
  for (let seq = 1; seq <= 10_000; seq++) rig.pick(seq, `10.${seq >> 16}.${(seq >> 8) & 255}.${seq & 255}`);
  let turns = 0;
  const turn = async () => {
    turns++;
  };
  await pageOfBackends(rig.routing, rig.ledger, { limit: 10, state: 'busy' }, turn);
  t.ok(turns >= 30 && turns <= 60, `${turns} slices for a page`);
  turns = 0;
  await summarizeBackends(rig.routing, rig.ledger, 10, turn);
  t.ok(turns >= 30 && turns <= 60, `${turns} slices for the summary`);
});

t.test('one whose row is gone is shown once, though it is let go and comes back while they are gathered', async (t) => {
  const rig = new Rig();
  await rig.serve(Array.from({ length: 600 }, (_, i) => ({ id: `b${i}` })));
  const held = new Map<string, number>();
  for (let seq = 1; held.size < 600; seq++) {
    const answer = rig.pick(seq, `10.0.${seq >> 8}.${seq & 255}`);
    if (answer?.kind === 'assigned') held.set(answer.backendId, seq);
  }
  await rig.serve([]);
  const gathering = new BackendViews(rig.routing.table, rig.ledger).gone();
  t.equal(gathering.next().done, false, 'some are left to gather');
  const first = rig.ledger.slots.idOf(0);
  rig.closed(held.get(first)!);
  // Another backend gets its slot, and it a later one.
  await rig.serve([{ id: 'another' }]);
  await rig.serve([{ id: 'another', weight: 0 }, { id: first }]);
  t.equal(rig.got(10_000, '10.9.0.1'), `${first} picked`);
  await rig.serve([]);
  t.ok(rig.ledger.slots.slotOf(first) > 500);
  const { value: gone } = gathering.next();
  t.same(gone, [...held.keys()].sort());
});

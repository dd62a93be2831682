import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/domain/entities.ts';
import { isTableContent } from '../../src/domain/is-table-content.ts';
import {
  changesTo,
  isDelta,
  MAX_DELTA_ROWS,
  type TableChanges,
  type TableDelta,
  TableFeed,
} from '../../src/domain/table-delta.ts';
import { buildTableImage, type TableImage } from '../../src/domain/table-image.ts';
import { backend } from '../fixtures/routing-db.ts';
import { backendsArbitrary, openTable, toEnd } from './arbitraries.ts';

const judged = (backends: readonly Backend[]) => ({ backends, problems: [], problemCount: 0 });

function asDelta(content: TableImage | TableDelta): TableDelta {
  if (!isDelta(content)) throw new Error('it came as a whole');
  return content;
}

const twoTables = fc
  .tuple(backendsArbitrary({ maxRows: 40 }), backendsArbitrary({ maxRows: 40 }))
  .chain((tables) => fc.tuple(fc.subarray(tables[0]), fc.subarray(tables[1])));

/** What a plain comparison says. */
function plainly(before: readonly Backend[], after: readonly Backend[]): TableChanges {
  const was = new Map(before.map((row) => [row.id, JSON.stringify(row)]));
  const ids = new Set(after.map(({ id }) => id));
  const upserts = after.filter((row) => was.get(row.id) !== JSON.stringify(row));
  return { upserts: byId(upserts), removed: [...was.keys()].filter((id) => !ids.has(id)).sort() };
}

const byId = (rows: readonly Backend[]) => [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
const text = ({ upserts, removed }: TableChanges) =>
  JSON.stringify([upserts.map((row) => Object.entries(row).sort()), removed]);

t.test('whoever has what was told last is told what changed', async (t) => {
  fc.assert(
    fc.property(twoTables, ([before, after]) => {
      const feed = new TableFeed();
      const { contentHash } = feed.tell(judged(before), null);
      const delta = asDelta(feed.tell(judged(after), contentHash));
      if (delta.base !== contentHash || delta.rows !== after.length) throw new Error('of other tables');
      if (delta.contentHash !== buildTableImage(after).contentHash) throw new Error('another hash than the whole has');
      if (!isTableContent(structuredClone(delta))) throw new Error('not in form');
      return text(delta) === text(plainly(before, after));
    }),
    { numRuns: 300 },
  );
  t.pass('equal');
});

t.test('what an image changes in a table is what a plain comparison says', async (t) => {
  fc.assert(
    fc.property(twoTables, ([before, after]) => {
      const changes = toEnd(changesTo(openTable(before), buildTableImage(after)));
      const removed = [...changes.removed].sort();
      return text({ ...changes, removed }) === text(plainly(before, after));
    }),
    { numRuns: 300 },
  );
  t.pass('equal');
});

t.test('every column counts', async (t) => {
  const base = backend({ id: 'b', region: 'sa', country: 'BR', softLimit: 1 });
  const others: Partial<Backend>[] = [
    { app: 'x' },
    { region: 'eu' },
    { country: null },
    { host: '10.0.0.2' },
    { port: 81 },
    { healthy: false },
    { weight: 2 },
    { softLimit: 2 },
    { hardLimit: 2 },
    { deleted: true },
  ];
  for (const other of others) {
    const feed = new TableFeed();
    const { contentHash } = feed.tell(judged([base]), null);
    const row = { ...base, ...other };
    t.same(asDelta(feed.tell(judged([row]), contentHash)).upserts, [row], JSON.stringify(other));
  }
});

t.test('the whole is told at first, to whoever has another table, and when much changed', async (t) => {
  const rows = Array.from({ length: MAX_DELTA_ROWS + 1 }, (_, i) => backend({}, i));
  const feed = new TableFeed();
  const first = feed.tell(judged(rows), 'what another thread told');
  t.notOk(isDelta(first));
  t.match(feed.tell(judged(rows), first.contentHash), { upserts: [], removed: [] }, 'the same again is no change');
  t.notOk(isDelta(feed.tell(judged(rows), null)), 'nothing is there to change');
  const less = rows.slice(1);
  const second = feed.tell(judged(less), first.contentHash);
  t.match(second, { base: first.contentHash, removed: [rows[0]!.id], rows: MAX_DELTA_ROWS });
  t.notOk(isDelta(feed.tell(judged(less), first.contentHash)), 'what was told last was not taken over');
  t.equal(asDelta(feed.tell(judged([]), second.contentHash)).removed.length, MAX_DELTA_ROWS, 'the most that is told');
  feed.tell(judged(rows), null);
  t.notOk(isDelta(feed.tell(judged([]), first.contentHash)), 'more than a step bears');
});

t.test('a large table is compared in slices', async (t) => {
  const rows = Array.from({ length: 10_000 }, (_, i) => backend({}, i));
  const table = openTable(rows);
  let yields = 0;
  for (const work = changesTo(table, buildTableImage(rows)); !work.next().done; ) yields++;
  t.ok(yields >= 20 && yields <= 60, `${yields} times`);
});

t.test('what other code made is taken only in our form', async (t) => {
  const image = buildTableImage([backend()]);
  const { contentHash, problems, problemCount } = image;
  const delta = { rows: 1, contentHash, problems, problemCount, base: '', upserts: [backend()], removed: ['x'] };
  t.ok(isTableContent(image));
  t.ok(isTableContent(delta));
  const row = backend();
  for (const bad of [
    null,
    'text',
    { ...image, port: [1] },
    { ...image, port: new Uint16Array(2) },
    { ...image, hosts: undefined },
    { ...image, problems: undefined },
    { ...delta, base: 1 },
    { ...delta, rows: '1' },
    { ...delta, upserts: {} },
    { ...delta, upserts: [null] },
    { ...delta, upserts: [{ ...row, port: '80' }] },
    { ...delta, upserts: [{ ...row, weight: -1 }] },
    { ...delta, upserts: [{ ...row, region: 'mars' }] },
    { ...delta, upserts: [{ ...row, country: 7 }] },
    { ...delta, upserts: [{ ...row, healthy: 1 }] },
    { ...delta, removed: [7] },
    { ...delta, removed: Array.from({ length: MAX_DELTA_ROWS + 1 }, String) },
  ])
    t.notOk(isTableContent(bad), JSON.stringify(bad)?.slice(0, 100));
});

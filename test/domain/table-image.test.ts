import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/domain/entities.ts';
import { openRoutingTable } from '../../src/domain/routing-table.ts';
import { buildTableImage, isServing, MAX_NAMED_PROBLEMS, transferables } from '../../src/domain/table-image.ts';
import { backend } from '../fixtures/routing-db.ts';
import { backendsArbitrary, openTable } from './arbitraries.ts';

const LISTENERS = [{ app: '' }, { app: 'a' }];

t.test('a table gives back every row as it was, in the order of ids', async (t) => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
  const limits = fc.record({
    soft: fc.nat(2 ** 32 - 1),
    hard: fc.nat(2 ** 32 - 1),
    port: fc.integer({ min: 1, max: 65_535 }),
  });
  fc.assert(
    fc.property(
      backendsArbitrary({ maxRows: 30 }),
      fc.uniqueArray(text, { minLength: 30, maxLength: 30 }),
      limits,
      (rows, ids, limits) => {
        const named = rows.map((row, i) => ({
          ...row,
          id: ids[i]!,
          app: i % 3 === 0 ? ids[(i * 7) % 30]! : row.app,
          port: limits.port,
          softLimit: limits.soft,
          hardLimit: limits.hard,
        }));
        const table = openTable(named, LISTENERS);
        if (table.size !== named.length) throw new Error('rows are missing');
        for (const row of named) {
          const found = table.find(row.id);
          if (JSON.stringify(sorted(found)) !== JSON.stringify(sorted(row))) throw new Error(`${row.id} has changed`);
        }
        const order = Array.from({ length: table.size }, (_, slot) => table.idOf(slot));
        if (order.some((id, slot) => slot > 0 && id <= order[slot - 1]!)) throw new Error('not in the order of ids');
      },
    ),
    { numRuns: 200 },
  );
  t.pass('equal');
});

t.test('an id that begins with a byte order mark is not the id without it', async (t) => {
  const table = openTable([backend({ id: '\ufeffa', port: 1 }), backend({ id: 'a', port: 2 })], LISTENERS);
  t.equal(table.find('\ufeffa')?.port, 1);
  t.equal(table.find('a')?.port, 2);
});

t.test('the content hash does not depend on the order of rows, and on everything else', async (t) => {
  const hashOf = (rows: readonly Backend[]) => buildTableImage(rows, LISTENERS).contentHash;
  fc.assert(
    fc.property(backendsArbitrary({ minRows: 2 }), fc.infiniteStream(fc.nat(59)), (rows, order) => {
      const shuffled = [...rows];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const other = order.next().value! % (i + 1);
        [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
      }
      return hashOf(rows) === hashOf(shuffled);
    }),
    { numRuns: 100 },
  );
  const changes: Partial<Backend>[] = [
    { id: 'other' },
    { app: 'a' },
    { region: 'us' },
    { country: 'DE' },
    { host: '10.0.0.2' },
    { port: 2 },
    { healthy: false },
    { weight: 2 },
    { softLimit: 11 },
    { hardLimit: 1 },
    { deleted: true },
  ];
  const hashes = [{}, ...changes].map((change) => hashOf([backend(change), backend({}, 1)]));
  t.equal(new Set(hashes).size, hashes.length, 'every column counts');
  t.not(
    hashOf([backend({ id: 'a', app: 'bc' })]),
    hashOf([backend({ id: 'ab', app: 'c' })]),
    'columns do not run together',
  );
  const problem = { id: 'x', column: 'port', value: 'abc', expected: '1 to 65535' };
  t.equal(
    buildTableImage([backend()], LISTENERS, [problem]).contentHash,
    hashOf([backend()]),
    'a bad row is no content',
  );
});

t.test('groups hold the rows that serve, by app and place, in ring order', async (t) => {
  fc.assert(
    fc.property(backendsArbitrary(), (rows) => {
      const table = openTable(rows, LISTENERS);
      const expected = new Map<string, Set<string>>();
      for (const row of rows.filter(isServing)) {
        for (const { app } of LISTENERS) {
          if (app !== '' && app !== row.app) continue;
          for (const scope of ['*', `r:${row.region}`, ...(row.country === null ? [] : [`c:${row.country}`])]) {
            const name = `${app} ${scope}`;
            expected.set(name, (expected.get(name) ?? new Set()).add(row.id));
          }
        }
      }
      const got = new Map(table.groups.map(({ app, scope, slots }) => [`${app} ${scope}`, slots]));
      if (got.size !== expected.size) throw new Error('other groups');
      for (const [name, ids] of expected) {
        const slots = [...(got.get(name) ?? [])];
        if (slots.length !== ids.size || slots.some((slot) => !ids.has(table.idOf(slot))))
          throw new Error(`${name} differs`);
        const place = (slot: number) => table.ringHash(slot) * 2 ** 20 + slot;
        if (slots.some((slot, i) => i > 0 && place(slot) <= place(slots[i - 1]!)))
          throw new Error(`${name} is out of order`);
      }
      for (const { app } of LISTENERS) {
        if (table.hasServing(app) !== expected.has(`${app} *`)) throw new Error('hasServing differs');
        if (table.hasServing(app, 'eu') !== expected.has(`${app} r:eu`)) throw new Error('hasServing of eu differs');
      }
    }),
    { numRuns: 200 },
  );
  t.pass('equal');
});

t.test('a large table is opened in slices', async (t) => {
  const image = buildTableImage(
    Array.from({ length: 10_000 }, (_, i) => backend({}, i)),
    LISTENERS,
  );
  let yields = 0;
  for (const work = openRoutingTable(1, image); !work.next().done; ) yields++;
  t.ok(yields >= 4 && yields <= 20, `${yields} times`);
});

t.test('an image moves between threads and leaves nothing behind', async (t) => {
  const image = buildTableImage([backend(), backend({}, 1)], LISTENERS);
  const moved = structuredClone(image, { transfer: transferables(image) });
  t.same([...moved.port], [9000, 9001]);
  const columns = Object.values(image).filter((value) => ArrayBuffer.isView(value));
  t.ok(
    columns.every((column) => column.byteLength === 0),
    'no column was copied',
  );
  t.ok(image.groups.every(({ slots }) => slots.byteLength === 0));
});

t.test('no more problems than a log record bears are named; all are counted', async (t) => {
  const problems = Array.from({ length: 50 }, (_, i) => ({ id: `x${i}`, column: 'port', value: '', expected: '' }));
  const image = buildTableImage([], LISTENERS, problems);
  t.equal(image.problems.length, MAX_NAMED_PROBLEMS);
  t.equal(image.problemCount, 50);
});

t.test('an empty table has a hash and no groups', async (t) => {
  const table = openTable([], LISTENERS);
  t.equal(table.size, 0);
  t.same(table.groups, []);
  t.equal(table.find('anyone'), undefined);
  t.match(table.contentHash, /^[0-9a-f]{16}$/);
  t.notOk(table.hasServing(''));
});

function sorted(row: Backend | undefined): unknown {
  return Object.entries(row ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

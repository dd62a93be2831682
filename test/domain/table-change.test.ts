import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/domain/entities.ts';
import { compareTables } from '../../src/domain/table-change.ts';
import { backend } from '../fixtures/routing-db.ts';
import { backendsArbitrary, openTable, toEnd } from './arbitraries.ts';

const change = (before: readonly Backend[], after: readonly Backend[]) =>
  toEnd(compareTables(openTable(before, [{ app: '' }]), openTable(after, [{ app: '' }], 2)));

t.test('rows that came, went and changed are counted, as a plain comparison counts them', async () => {
  const someOf = (backends: Backend[]) => fc.subarray(backends).map((left) => ({ backends, left }));
  const twoTables = fc
    .tuple(backendsArbitrary({ maxRows: 30 }), backendsArbitrary({ maxRows: 30 }))
    .chain(([one, other]) => fc.tuple(someOf(one), someOf(other)));
  fc.assert(
    fc.property(twoTables, ([one, other]) => {
      const [before, after] = [one.left, other.left];
      const was = new Map(before.map((backend) => [backend.id, JSON.stringify(backend)]));
      const is = new Map(after.map((backend) => [backend.id, JSON.stringify(backend)]));
      const { added, removed, changed } = change(before, after);
      return (
        added === after.filter(({ id }) => !was.has(id)).length &&
        removed === before.filter(({ id }) => !is.has(id)).length &&
        changed === after.filter(({ id }) => was.has(id) && was.get(id) !== is.get(id)).length
      );
    }),
  );
});

t.test('every column counts, and no more than three ids of a kind are named', async (t) => {
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
  for (const other of others)
    t.match(change([base], [{ ...base, ...other }]), { changed: 1, ids: ['~b'] }, JSON.stringify(other));
  t.same(change([base], [base]), { added: 0, removed: 0, changed: 0, ids: [] });
  const many = ['c', 'd', 'e', 'f'].map((id) => ({ ...base, id }));
  t.same(change([base], many), { added: 4, removed: 1, changed: 0, ids: ['+c', '+d', '+e', '-b'] });
});

t.test('a large table is compared in slices', async (t) => {
  const rows = Array.from({ length: 10_000 }, (_, i) => backend({}, i));
  const table = openTable(rows, [{ app: '' }]);
  let yields = 0;
  for (const work = compareTables(table, table); !work.next().done; ) yields++;
  t.ok(yields >= 8 && yields <= 20, `${yields} times`);
});

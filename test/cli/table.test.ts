import fc from 'fast-check';
import t from 'tap';
import { describeBackends } from '../../src/cli/backend-text.ts';
import { fitTable, fold, layOutTable, type Table } from '../../src/cli/table.ts';
import { backend } from '../fixtures/routing-db.ts';

const WIDTH = 80;

const stored = (given: Parameters<typeof backend>[0]) => {
  const made = backend(given);
  return { rowid: 1, id: made.id, backend: made, problem: null };
};

const text = (table: Table, width = WIDTH) => layOutTable(fitTable(table, width));

t.test('a table fits the screen whatever its ids are, and says every character of them', async () => {
  const anyId = fc.string({ minLength: 1, maxLength: 300, unit: fc.constantFrom('a', 'Z', '0', '-', '.', '_') });
  const hosts = fc.constantFrom('10.0.0.1', '255.255.255.255', '2001:db8:1111:2222:3333:4444:5555:6666');
  const row = fc.record({ id: anyId, app: fc.oneof(fc.constant(''), anyId), host: hosts });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 8 }), (rows) => {
      const given = rows.map((each) =>
        stored({ ...each, country: 'BR', port: 65_535, weight: 10_000, softLimit: 1e9, hardLimit: 1e9 }),
      );
      const lines = text(describeBackends(given, null)[0] as Table);
      const ids = lines.slice(1).map((line) => line.slice(0, line.search(/ |$/)));
      return lines.every((line) => line.length <= WIDTH) && ids.join('') === rows.map(({ id }) => id).join('');
    }),
  );
});

t.test('what there is room for is not touched', async (t) => {
  const table = { head: ['A', 'B', 'N'], rows: [['x', 'one two', 5]], spare: ['B'] };
  t.same(text(table), ['A  B        N', 'x  one two  5']);
  t.same(fitTable(table, 13).left, []);
});

t.test(
  'spare columns go first: those that say nothing, then in their order, and those that said something are named',
  async (t) => {
    const head = ['ID', 'FIRST', 'SECOND', 'EMPTY'];
    const table = { head, rows: [['id', 'first', 'second', '-']], spare: ['FIRST', 'SECOND', 'EMPTY'] };
    t.same(fitTable(table, 24).head, head);
    t.match(fitTable(table, 23), { head: ['ID', 'FIRST', 'SECOND'], left: [] });
    t.match(fitTable(table, 16), { head: ['ID', 'SECOND'], left: ['FIRST'] });
    t.match(fitTable(table, 2), { head: ['ID'], left: ['FIRST', 'SECOND'] });
  },
);

t.test('the widest text is folded, at blanks where it has some; numbers are not', async (t) => {
  const table = { head: ['ID', 'WHY', 'N'], rows: [['a-name', 'expected an integer from 1 to 65535', 123_456_789]] };
  t.same(
    text(table, 40),
    [
      'ID      WHY                            N',
      'a-name  expected an integer    123456789',
      '        from 1 to 65535',
    ].map((line) => line.trimEnd()),
  );
  t.same(fold('', 8), ['']);
  t.same(fold('abcdefghij kl', 8), ['abcdefgh', 'ij kl']);
  t.same(fold('日本語日本語', 8), ['日本語日', '本語'], 'a wide character takes two columns');
});

import t from 'tap';
import {
  COLUMN_NAMES,
  type ColumnName,
  isProblem,
  judgeRows,
  type RawRow,
  readRow,
  showValue,
} from '../../src/domain/backend-row.ts';
import { MAX_NAMED_PROBLEMS } from '../../src/domain/table-image.ts';
import { parseAddress } from '../../src/ip-address.ts';

const GOOD: RawRow = {
  id: 'sa-node-1',
  app: 'game',
  region: 'sa',
  country: 'BR',
  wg_ip: '10.50.1.1',
  port: 8080,
  healthy: 1,
  weight: 2,
  soft_limit: 50,
  hard_limit: 100,
  deleted: 0,
};
const judge = { parseAddress, isOwn: () => false };
const read = (changes: Partial<RawRow>) => readRow({ ...GOOD, ...changes }, judge);

t.test('a good row', async (t) => {
  t.same(read({}), {
    id: 'sa-node-1',
    app: 'game',
    region: 'sa',
    country: 'BR',
    host: '10.50.1.1',
    port: 8080,
    healthy: true,
    weight: 2,
    softLimit: 50,
    hardLimit: 100,
    deleted: false,
  });
});

t.test('what other writings of a value become', async (t) => {
  const cases: readonly (readonly [Partial<RawRow>, object])[] = [
    [{ app: null }, { app: '' }],
    [{ region: 'EU' }, { region: 'eu' }],
    [{ country: 'br' }, { country: 'BR' }],
    [{ country: null }, { country: null }],
    [{ country: '' }, { country: null }],
    [{ wg_ip: '::ffff:10.0.0.1' }, { host: '10.0.0.1' }],
    [{ wg_ip: '2001:DB8:0:0::1' }, { host: '2001:db8::1' }],
    [{ wg_ip: '127.0.0.1' }, { host: '127.0.0.1' }],
    [{ port: 1 }, { port: 1 }],
    [{ port: 65_535 }, { port: 65_535 }],
    [{ healthy: 0 }, { healthy: false }],
    [{ weight: 0 }, { weight: 0 }],
    [{ weight: 10_000 }, { weight: 10_000 }],
    [
      { soft_limit: null, hard_limit: null },
      { softLimit: 0, hardLimit: 0 },
    ],
    [
      { soft_limit: 200, hard_limit: 100 },
      { softLimit: 200, hardLimit: 100 },
    ],
    [{ hard_limit: 2_147_483_647 }, { hardLimit: 2_147_483_647 }],
    [{ deleted: null }, { deleted: false }],
    [{ deleted: 1 }, { deleted: true }],
    [{ id: 'ü'.repeat(255) }, { id: 'ü'.repeat(255) }],
  ];
  for (const [given, expected] of cases) t.match(read(given), expected, JSON.stringify(given));
});

t.test('what may not stand in a column', async (t) => {
  const bad: Readonly<Record<ColumnName, readonly unknown[]>> = {
    id: [null, '', 'a\nb', 'a\u0000b', 'x'.repeat(256), 7, Buffer.from('id')],
    app: ['a\tb', 'x'.repeat(256), 7, Buffer.from('app')],
    region: [null, '', 'xx', 'europe', ' eu', 3],
    country: ['XX', 'ZZ', 'BRA', 'B', 'b1', 55, Buffer.from('BR')],
    wg_ip: [
      ...[null, '', 'localhost', '10.0.0.1 ', '10.0.0', '010.0.0.1', '10.0.0.1:80', '256.0.0.1', 167772161],
      ...[
        '0.0.0.0',
        '::',
        '::ffff:0.0.0.0',
        '224.0.0.1',
        '239.255.255.255',
        '255.255.255.255',
        'ff02::1',
        'fe80::1%eth0',
      ],
    ],
    port: [null, 0, -1, 65_536, 80.5, 'abc', '', '80', Number.NaN, Number.POSITIVE_INFINITY, Buffer.from('80')],
    healthy: [null, 2, -1, 'yes', '1', 0.5],
    weight: [null, -1, 10_001, 1.5, 'heavy'],
    soft_limit: [-1, 2_147_483_648, 0.1, 'many'],
    hard_limit: [-1, 2_147_483_648, 2 ** 53, 0.1, 'many'],
    deleted: [2, 'no', -1],
  };
  for (const column of COLUMN_NAMES) {
    for (const value of bad[column]) {
      const row = read({ [column]: value });
      const name = `${column} ${showValue(value)}`;
      if (!isProblem(row)) throw new Error(`${name} was taken`);
      t.equal(row.column, column, name);
      t.equal(row.value, showValue(value), name);
      t.not(row.expected, '');
    }
  }
});

t.test('a problem names the whole id, if that is good', async (t) => {
  const id = 'n'.repeat(255);
  t.match(read({ id, port: 'abc' }), { id, column: 'port', value: 'abc' });
  t.match(read({ id: null }), { id: 'NULL', column: 'id' });
});

t.test('a backend that is edgeProxy itself is a problem', async (t) => {
  const isOwn = (host: string, port: number) => host === '10.50.1.1' && port === 8080;
  const own = { parseAddress, isOwn };
  t.match(readRow(GOOD, own), { column: 'wg_ip', value: '10.50.1.1', expected: /loop/ });
  t.match(readRow({ ...GOOD, wg_ip: '::ffff:10.50.1.1' }, own), { column: 'wg_ip' });
  t.match(readRow({ ...GOOD, port: 8081 }, own), { port: 8081 });
});

t.test('values are shown short and on one line', async (t) => {
  t.equal(showValue(null), 'NULL');
  t.equal(showValue(undefined), 'NULL');
  t.equal(showValue('a\r\nb\u001b[31m\u2028\u202e'), 'a\\u{d}\\u{a}b\\u{1b}[31m\\u{2028}\\u{202e}');
  t.equal(showValue(Buffer.from([0, 255])), "x'00ff'");
  t.equal(showValue('y'.repeat(64)), 'y'.repeat(64));
  for (const long of ['x'.repeat(65), '\u0000'.repeat(1000), Buffer.alloc(1_000_000)]) {
    t.equal(showValue(long).length, 64);
    t.ok(showValue(long).endsWith('…'));
  }
});

t.test('of rows with one id the first serves, and what is skipped is counted, and named up to a number', async (t) => {
  const twice = { ...GOOD, port: 8081 };
  t.match(judgeRows([GOOD, twice], judge), {
    backends: [{ id: 'sa-node-1', port: 8080 }],
    problems: [{ id: 'sa-node-1', column: 'id' }],
    problemCount: 1,
  });
  const bad = Array.from({ length: MAX_NAMED_PROBLEMS + 5 }, (_, i) => ({ ...GOOD, id: `bad-${i}`, port: 'abc' }));
  const { backends, problems, problemCount } = judgeRows([...bad, GOOD], judge);
  t.same([backends.length, problems.length, problemCount], [1, MAX_NAMED_PROBLEMS, MAX_NAMED_PROBLEMS + 5]);
});

import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/domain/entities.ts';
import { buildTableImage, inOrder, MAX_NAMED_PROBLEMS, rowAt, transferables } from '../../src/domain/table-image.ts';
import { backend } from '../fixtures/routing-db.ts';
import { backendsArbitrary } from './arbitraries.ts';

t.test('an image gives back every row as it was, in the order of ids', async (t) => {
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
        const image = buildTableImage(named);
        const back = Array.from({ length: image.rows }, (_, i) => rowAt(image, i));
        if (JSON.stringify(back.map(sorted)) !== JSON.stringify(inOrder(named).map(sorted)))
          throw new Error('rows have changed');
        if (back.some(({ id }, i) => i > 0 && id <= back[i - 1]!.id)) throw new Error('not in the order of ids');
      },
    ),
    { numRuns: 200 },
  );
  t.pass('equal');
});

t.test('an id that begins with a byte order mark is not the id without it', async (t) => {
  const image = buildTableImage([backend({ id: '\ufeffa', port: 1 }), backend({ id: 'a', port: 2 })]);
  t.match(
    [rowAt(image, 0), rowAt(image, 1)],
    [
      { id: 'a', port: 2 },
      { id: '\ufeffa', port: 1 },
    ],
  );
});

t.test('the content hash does not depend on the order of rows, and on everything else', async (t) => {
  const hashOf = (rows: readonly Backend[]) => buildTableImage(rows).contentHash;
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
  t.equal(buildTableImage([backend()], [problem]).contentHash, hashOf([backend()]), 'a bad row is no content');
  t.match(hashOf([]), /^[0-9a-f]{16}$/);
});

t.test('an image moves between threads and leaves nothing behind', async (t) => {
  const image = buildTableImage([backend(), backend({}, 1)]);
  const moved = structuredClone(image, { transfer: transferables(image) });
  t.same([...moved.port], [9000, 9001]);
  const columns = Object.values(image).filter((value) => ArrayBuffer.isView(value));
  t.ok(
    columns.every((column) => column.byteLength === 0),
    'no column was copied',
  );
});

t.test('no more problems than a log record bears are named; all are counted', async (t) => {
  const problems = Array.from({ length: 50 }, (_, i) => ({ id: `x${i}`, column: 'port', value: '', expected: '' }));
  const image = buildTableImage([], problems);
  t.equal(image.problems.length, MAX_NAMED_PROBLEMS);
  t.equal(image.problemCount, 50);
});

function sorted(row: Backend): unknown {
  return Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1));
}

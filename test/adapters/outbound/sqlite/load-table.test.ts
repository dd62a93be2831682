import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ensureDatabase } from '../../../../src/adapters/outbound/sqlite/ensure-database.ts';
import {
  LOAD_VERSION,
  type LoadReply,
  type LoadRequest,
} from '../../../../src/adapters/outbound/sqlite/load-protocol.ts';
import { TableLoader } from '../../../../src/adapters/outbound/sqlite/load-table.ts';
import { COLUMN_NAMES } from '../../../../src/domain/backend-row.ts';
import { MAX_NAMED_PROBLEMS } from '../../../../src/domain/table-image.ts';
import { backend, writeRoutingDb } from '../../../fixtures/routing-db.ts';
import { idsOf, rowsOf } from './image-rows.ts';

const dbPath = (t: Test, files = {}) => join(t.testdir(files), 'routing.db');

const load = (path: string, more: Partial<LoadRequest> = {}): Promise<LoadReply> =>
  new TableLoader().load({ version: LOAD_VERSION, path, have: null, ownEndpoints: [], leftOver: null, ...more });

async function loaded(path: string, more: Partial<LoadRequest> = {}): Promise<LoadReply & { kind: 'loaded' }> {
  const reply = await load(path, more);
  if (reply.kind !== 'loaded') throw new Error(reply.message);
  return reply;
}

function execute(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

t.test('rows come back as they were written', async (t) => {
  const path = dbPath(t);
  const rows = writeRoutingDb(path, [
    { app: 'game', country: 'BR', region: 'sa', host: '2001:db8::1', weight: 0, hardLimit: 5, deleted: true },
    { healthy: false, softLimit: 2_147_483_647 },
  ]);
  const { content } = await loaded(path);
  t.same(rowsOf(content), rows);
  t.equal(content.problemCount, 0);
});

t.test('an empty table is valid', async (t) => {
  const path = dbPath(t);
  ensureDatabase(path);
  t.match(await loaded(path), { content: { rows: 0, problemCount: 0 } });
});

t.test('older files without country and deleted', async (t) => {
  const path = dbPath(t);
  execute(
    path,
    `CREATE TABLE Backends (ID TEXT, app, region, wg_ip, PORT INT, healthy, weight, soft_limit, hard_limit, note);
     INSERT INTO backends VALUES ('a', '', 'eu', '10.0.0.1', 80, 1, 1, 0, 0, 'mine')`,
  );
  t.match(rowsOf((await loaded(path)).content), [{ id: 'a', country: null, deleted: false }]);
});

t.test('a NULL country is unknown', async (t) => {
  const path = dbPath(t);
  writeRoutingDb(path, [{ country: null }]);
  t.match(rowsOf((await loaded(path)).content), [{ country: null }]);
});

t.test('a view will do', async (t) => {
  const path = dbPath(t);
  writeRoutingDb(path, [{}, { weight: 3 }]);
  execute(path, 'ALTER TABLE backends RENAME TO mine; CREATE VIEW backends AS SELECT * FROM mine WHERE weight = 3');
  t.same(idsOf((await loaded(path)).content), ['backend-2']);
});

t.test('bad rows are skipped, counted, and at most some are named', async (t) => {
  const path = dbPath(t);
  writeRoutingDb(path, [{ id: 'good' }]);
  const bad = MAX_NAMED_PROBLEMS + 5;
  for (let i = 0; i < bad; i++)
    execute(path, `INSERT INTO backends (id, region, port) VALUES ('bad-${i}', 'eu', 'abc')`);
  const { content } = await loaded(path);
  t.same(idsOf(content), ['good']);
  t.equal(content.problemCount, bad);
  t.equal(content.problems.length, MAX_NAMED_PROBLEMS);
  t.match(content.problems[0], { id: 'bad-0', column: 'wg_ip', value: 'NULL' });
});

t.test('ids that are the same text serve once', async (t) => {
  const path = dbPath(t);
  writeRoutingDb(path, [{ id: '\ufffd' }]);
  execute(
    path,
    "INSERT INTO backends SELECT CAST(x'ff' AS TEXT), app, region, country, wg_ip, port, 1, 1, 1, 1, 0 FROM backends",
  );
  const { content } = await loaded(path);
  t.equal(content.rows, 1);
  t.match(content.problems, [{ id: '\ufffd', column: 'id' }]);
});

t.test('our own addresses are refused', async (t) => {
  const path = dbPath(t);
  writeRoutingDb(path, [{ port: 1 }, { port: 2 }]);
  const { content } = await loaded(path, { ownEndpoints: [{ host: '127.0.0.0/8', port: 2 }] });
  t.same(idsOf(content), ['backend-1']);
  t.match(content.problems, [{ id: 'backend-2', column: 'wg_ip' }]);
});

t.test('the content hash knows content from order', async (t) => {
  const path = dbPath(t);
  const rows = [backend({}, 0), backend({}, 1)];
  const hash = async () => (await loaded(path)).content.contentHash;
  writeRoutingDb(path, rows);
  const first = await hash();
  writeRoutingDb(path, rows.toReversed());
  t.equal(await hash(), first);
  writeRoutingDb(path, [rows[0]!, { ...rows[1]!, weight: 2 }]);
  t.not(await hash(), first);
});

t.test('what cannot be loaded says why', async (t) => {
  const large = dbPath(t, { 'routing.db.d': {} });
  writeRoutingDb(
    large,
    Array.from({ length: 2000 }, (_, i) => ({ id: `${i}`.padStart(100, 'x') })),
  );
  const make: Readonly<Record<string, (path: string) => void>> = {
    'EDGE_ERR_DB_MISSING a missing file': () => undefined,
    'EDGE_ERR_DB_MISSING a file for a directory': (path) => writeFileSync(path.replace('/routing.db', ''), ''),
    'EDGE_ERR_DB_UNREADABLE garbage': (path) => writeFileSync(path, 'garbage'.repeat(1000)),
    'EDGE_ERR_DB_UNREADABLE a truncated file': (path) => {
      writeFileSync(path, readFileSync(large));
      truncateSync(path, 100_000);
    },
    'EDGE_ERR_DB_UNREADABLE a directory': (path) => mkdirSync(path),
    'EDGE_ERR_DB_UNREADABLE a FIFO': (path) => spawnSync('mkfifo', [path]),
    'EDGE_ERR_DB_UNREADABLE too many rows': (path) => writeFileSync(path, readFileSync(large)),
    'EDGE_ERR_DB_SCHEMA an empty file': (path) => writeFileSync(path, ''),
    'EDGE_ERR_DB_SCHEMA no table': (path) => execute(path, 'CREATE TABLE other (id)'),
    'EDGE_ERR_DB_SCHEMA lacks port, hard_limit': (path) => {
      ensureDatabase(path);
      execute(path, 'ALTER TABLE backends DROP COLUMN port; ALTER TABLE backends DROP COLUMN hard_limit');
    },
  };
  for (const [name, prepare] of Object.entries(make)) {
    await t.test(name, async (t) => {
      const dir = t.testdir(name.includes('a file for') ? {} : { sub: {} });
      const path = join(dir, 'sub', 'routing.db');
      prepare(path);
      const reply = await load(path, { maxRows: 1999 });
      if (reply.kind !== 'failed') throw new Error(`${name} was loaded`);
      t.equal(reply.code, name.slice(0, name.indexOf(' ')));
      t.match(reply.message, path);
      if (name.includes('lacks')) t.match(reply.message, 'lacks port, hard_limit:');
    });
  }
});

t.test('whatever is stored, loading does not throw, serves the good rows and counts the others', async (t) => {
  const path = dbPath(t);
  // No declared types: SQLite then keeps every storage class as it is given.
  execute(path, `CREATE TABLE backends (${COLUMN_NAMES.join(', ')})`);
  const db = new Database(path);
  t.teardown(() => db.close());
  db.pragma('synchronous = OFF');
  const insert = db.prepare(`INSERT INTO backends VALUES (${COLUMN_NAMES.map(() => '?').join(', ')})`);
  const anything = fc.oneof(
    fc.constantFrom('eu', 'BR', '10.0.0.1', '::1', 1, 0, 80, '', null),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  );
  const row = fc.oneof(
    fc.record({ good: fc.constant(false), values: fc.array(anything, { minLength: 11, maxLength: 11 }) }),
    fc.record({ good: fc.constant(true), values: fc.constant(['', 'eu', null, '10.0.0.1', 80, 1, 1, null, 0, 0]) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 12 }), async (rows) => {
      db.transaction(() => {
        db.exec('DELETE FROM backends');
        rows.forEach(({ good, values }, i) => {
          if (good) insert.run(`the good row ${i}`, ...values);
          else insert.run(...values);
        });
      })();
      const { content } = await loaded(path);
      const ids = new Set(idsOf(content));
      const served = rows.every(({ good }, i) => !good || ids.has(`the good row ${i}`));
      return served && content.rows + content.problemCount === rows.length && ids.size === content.rows;
    }),
    { numRuns: 150 },
  );
});

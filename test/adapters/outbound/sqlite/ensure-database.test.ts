import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { ensureDatabase } from '../../../../src/adapters/outbound/sqlite/ensure-database.ts';
import { mountSmallDisk } from '../../../fixtures/small-disk.ts';

t.test('creates the documented schema where nothing stands', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  t.equal(ensureDatabase(path), 'created');
  const db = new Database(path, { readonly: true });
  t.teardown(() => db.close());
  const columns = db.prepare("SELECT name || ' ' || type FROM pragma_table_info('backends')").pluck().all();
  t.same(columns, [
    ...['id TEXT', 'app TEXT', 'region TEXT', 'country TEXT', 'wg_ip TEXT', 'port INTEGER', 'healthy INTEGER'],
    ...['weight INTEGER', 'soft_limit INTEGER', 'hard_limit INTEGER', 'deleted INTEGER'],
  ]);
  t.equal(db.pragma('integrity_check', { simple: true }), 'ok');
  t.equal(db.pragma('journal_mode', { simple: true }), 'delete');
});

t.test('leaves alone what stands there', async (t) => {
  const path = join(t.testdir({ 'routing.db': 'not a database', empty: '', directory: {} }), 'routing.db');
  const before = statSync(path).mtimeMs;
  t.equal(ensureDatabase(path), 'existed');
  t.equal(readFileSync(path, 'utf8'), 'not a database');
  t.equal(statSync(path).mtimeMs, before);
  t.equal(ensureDatabase(join(path, '..', 'empty')), 'existed');
  t.equal(statSync(join(path, '..', 'empty')).size, 0);
  t.equal(ensureDatabase(join(path, '..', 'directory')), 'existed');
});

t.test('says when it cannot', async (t) => {
  const dir = t.testdir({ file: '' });
  t.throws(() => ensureDatabase(join(dir, 'no', 'routing.db')), {
    code: 'EDGE_ERR_DB_UNREADABLE',
    message: /directory/,
  });
  writeFileSync(join(dir, 'file'), 'x');
  t.throws(() => ensureDatabase(join(dir, 'file', 'routing.db')), { code: 'EDGE_ERR_DB_UNREADABLE' });
});

t.test('a full disk leaves no part of a database behind', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === null) return;
  const path = join(disk.directory, 'routing.db');
  for (const pagesLeft of [0, 1]) {
    disk.fill(pagesLeft);
    t.throws(() => ensureDatabase(path), { code: 'EDGE_ERR_DB_UNREADABLE', message: /no space left/ });
    t.notOk(existsSync(path), `${pagesLeft} pages left`);
  }
  disk.makeRoom();
  t.equal(ensureDatabase(path), 'created');
});

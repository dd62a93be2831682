import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { BackendEditor, type BackendEditorOptions } from '../../../../src/adapters/outbound/sqlite/backend-editor.ts';
import { readTable } from '../../../../src/adapters/outbound/sqlite/load-table.ts';
import { inOrder } from '../../../../src/domain/table-image.ts';
import { backend, writeRoutingDb } from '../../../fixtures/routing-db.ts';
import { WriterProcess } from './writer-process.ts';

const NEW = { id: 'sa-node-1', region: 'sa', host: '10.50.1.1', port: 8080 };

function editorOf(t: Test, path: string, more: Partial<BackendEditorOptions> = {}): BackendEditor {
  const editor = new BackendEditor({ path, ...more });
  t.teardown(() => editor.close());
  return editor;
}

function execute(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

async function served(path: string) {
  const reply = await readTable({ path, ownEndpoints: [], leftOver: null });
  if (reply.kind === 'failed') throw new Error(reply.message);
  return inOrder(reply.backends);
}

t.test('the life of a backend, as the proxy reads it', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const editor = editorOf(t, path);
  t.same(editor.list(), []);
  const added = editor.add({ ...NEW, country: 'br', host: '::ffff:10.50.1.1' });
  const expected = { ...backend({ ...NEW, region: 'sa' }), country: 'BR', softLimit: 0 };
  t.same(added, { rowid: 1, id: NEW.id, backend: expected, problem: null });
  t.same(await served(path), [expected]);
  t.match(editor.get(NEW.id), { backend: expected });
  t.match(editor.set(NEW.id, { weight: 5, country: null, app: 'game' }), { backend: { weight: 5, country: null } });
  t.match(editor.disable(NEW.id), { backend: { healthy: false, weight: 5 } });
  t.match(editor.enable(NEW.id), { backend: { healthy: true } });
  t.match(editor.remove(NEW.id), { backend: { deleted: true } });
  t.throws(() => editor.add(NEW), { code: 'EDGE_ERR_BACKEND_EXISTS', message: /restore/ });
  t.match(editor.set(NEW.id, { deleted: false }), { backend: { deleted: false } });
  t.throws(() => editor.add(NEW), { code: 'EDGE_ERR_BACKEND_EXISTS' });
  t.match(editor.set(NEW.id, {}), { backend: { weight: 5, app: 'game' } }, 'no change is no error');
  t.match(editor.delete(NEW.id), { backend: { id: NEW.id } });
  t.same(await served(path), []);
});

t.test('values are held to the rules of the table, and nothing is written by a refusal', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const editor = editorOf(t, path, { ownEndpoints: [{ host: '127.0.0.0/8', port: 8080 }] });
  editor.add(NEW);
  const before = editor.list();
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ region: 'mars' }, /^region is mars: expected one of sa, us/],
    [{ country: 'XX' }, /^country is XX/],
    [{ host: 'localhost' }, /^wg_ip is localhost/],
    [{ host: '127.0.0.3' }, /^wg_ip is 127.0.0.3: .*loop/],
    [{ port: 0 }, /^port is 0: expected an integer from 1 to 65535/],
    [{ port: Number.NaN }, /^port is NaN/],
    [{ weight: 10_001 }, /^weight is 10001/],
    [{ softLimit: -1 }, /^soft_limit/],
    [{ hardLimit: 2 ** 31 }, /^hard_limit/],
    [{ app: 'a\nb' }, /^app is a\\u\{a\}b/],
  ];
  for (const [changes, message] of bad) {
    t.throws(() => editor.set(NEW.id, changes), { code: 'EDGE_ERR_BACKEND_INVALID', message });
    t.throws(() => editor.add({ ...NEW, id: 'other', ...changes }), { code: 'EDGE_ERR_BACKEND_INVALID', message });
  }
  t.throws(() => editor.add({ ...NEW, id: '' }), { code: 'EDGE_ERR_BACKEND_INVALID', message: /^id is / });
  t.same(editor.list(), before);
});

t.test('an unknown id suggests a near one', async (t) => {
  const editor = editorOf(t, join(t.testdir(), 'routing.db'));
  editor.add(NEW);
  const code = 'EDGE_ERR_BACKEND_UNKNOWN';
  t.throws(() => editor.get('sa-nod-1'), { code, message: /did you mean sa-node-1\?/ });
  for (const act of ['get', 'enable', 'disable', 'remove', 'delete'] as const) {
    t.throws(() => editor[act]('nothing like it'), { code, message: /list shows/ });
  }
  t.throws(() => editor.set('x\u001b', { weight: 1 }), {
    code,
    message: 'there is no backend x\\u{1b}: list shows those that exist',
  });
  t.throws(() => editor.deleteRow(99), { code });
});

t.test('invalid rows are listed, mended step by step, or deleted', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'good' }]);
  execute(
    path,
    `INSERT INTO backends VALUES ('bad', '', 'mars', NULL, '10.0.0.1', 'abc', 1, 1, 0, 0, 0);
     INSERT INTO backends VALUES (NULL, '', 'eu', NULL, '10.0.0.1', 80, 1, 1, 0, 0, 0)`,
  );
  const editor = editorOf(t, path);
  const [nameless, bad, good] = editor.list();
  t.match(nameless, { id: 'NULL', backend: null, problem: { column: 'id' } });
  t.match(bad, { id: 'bad', backend: null, problem: { column: 'region', value: 'mars' } });
  t.match(good, { id: 'good', backend: { id: 'good' }, problem: null });

  t.match(editor.disable('bad'), { backend: null, problem: { column: 'region' } });
  t.match(editor.set('bad', { region: 'eu' }), { backend: null, problem: { column: 'port', value: 'abc' } });
  t.match(editor.set('bad', { port: 80 }), { backend: { healthy: false, port: 80 }, problem: null });
  t.match(editor.deleteRow(nameless!.rowid!), { id: 'NULL' });
  t.same(
    editor.list().map(({ id }) => id),
    ['bad', 'good'],
  );
});

t.test('older files without country and deleted', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  execute(
    path,
    `CREATE TABLE backends (id TEXT PRIMARY KEY, app TEXT, region TEXT, wg_ip TEXT, port INTEGER, healthy INTEGER,
       weight INTEGER, soft_limit INTEGER, hard_limit INTEGER) WITHOUT ROWID`,
  );
  const editor = editorOf(t, path);
  const code = 'EDGE_ERR_DB_SCHEMA';
  t.throws(() => editor.add({ ...NEW, country: 'BR' }), {
    code,
    message: /ALTER TABLE backends ADD COLUMN country TEXT/,
  });
  t.match(editor.add({ ...NEW, country: null, deleted: false }), {
    rowid: null,
    backend: { country: null, deleted: false },
  });
  t.throws(() => editor.remove(NEW.id), { code, message: /ALTER TABLE backends ADD COLUMN deleted/ });
  t.match(editor.set(NEW.id, { weight: 3 }), { backend: { weight: 3 } });
  t.throws(() => editor.deleteRow(1), { code: 'EDGE_ERR_BACKEND_UNKNOWN' });
  t.match(editor.delete(NEW.id), { id: NEW.id });
  t.same(editor.list(), []);
});

t.test("the database's own rules are reported as such", async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const editor = editorOf(t, path);
  execute(path, "CREATE TRIGGER no BEFORE INSERT ON backends BEGIN SELECT raise(ABORT, 'ask the boss'); END");
  t.throws(() => editor.add(NEW), { code: 'EDGE_ERR_BACKEND_INVALID', message: /ask the boss/ });
});

t.test('files that cannot be edited', async (t) => {
  const dir = t.testdir({ garbage: 'garbage'.repeat(1000), empty: '' });
  const open =
    (name: string, create = true) =>
    () =>
      new BackendEditor({ path: join(dir, name), create });
  t.throws(open('none', false), { code: 'EDGE_ERR_DB_MISSING' });
  t.notOk(existsSync(join(dir, 'none')));
  t.throws(open('no/directory'), { code: 'EDGE_ERR_DB_UNREADABLE' });
  t.throws(open('garbage'), { code: 'EDGE_ERR_DB_UNREADABLE' });
  t.throws(open('empty'), { code: 'EDGE_ERR_DB_SCHEMA' });
});

t.test('a writer that does not let go', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const editor = editorOf(t, path, { busyTimeoutMs: 1 });
  const writer = new WriterProcess(t, path);
  await writer.exec('BEGIN EXCLUSIVE');
  t.throws(() => editor.add(NEW), { code: 'EDGE_ERR_DB_LOCKED', message: path });
  t.throws(() => editor.list(), { code: 'EDGE_ERR_DB_LOCKED' });
  t.throws(() => new BackendEditor({ path, busyTimeoutMs: 1 }), { code: 'EDGE_ERR_DB_LOCKED' });
  await writer.exec('COMMIT');
  t.match(editor.add(NEW), { id: NEW.id });
});

t.test('whatever is added is either refused or served as it was given', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const editor = editorOf(t, path);
  const number = fc.oneof(fc.nat(70_000), fc.double());
  const added = fc.record({
    id: fc.string({ unit: 'binary', maxLength: 20 }),
    region: fc.constantFrom('eu', 'US', 'xx'),
    host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
    port: number,
    weight: number,
    hardLimit: number,
  });
  await fc.assert(
    fc.asyncProperty(added, async (given) => {
      try {
        editor.add(given);
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'EDGE_ERR_BACKEND_INVALID') throw error;
        return editor.list().length === 0;
      }
      const [row] = await served(path);
      editor.delete(given.id);
      return (
        row?.id === given.id &&
        row.port === given.port &&
        row.weight === given.weight &&
        row.hardLimit === given.hardLimit
      );
    }),
    { numRuns: 60 },
  );
});

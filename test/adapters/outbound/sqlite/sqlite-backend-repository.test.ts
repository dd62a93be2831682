import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import {
  SqliteBackendRepository,
  type SqliteBackendRepositoryOptions,
} from '../../../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { loaded } from '../../../conformance/backend-repository.ts';
import { writeRoutingDb } from '../../../fixtures/routing-db.ts';
import { until } from '../../../fixtures/until.ts';
import { idsOf } from './image-rows.ts';
import { WriterProcess } from './writer-process.ts';

const execFileAsync = promisify(execFile);

const ROW = (id: string) => `INSERT INTO backends VALUES ('${id}', '', 'eu', NULL, '10.0.0.1', 80, 1, 1, 0, 0, 0);`;

function repositoryOf(t: Test, path: string, more: Partial<SqliteBackendRepositoryOptions> = {}) {
  const repository = new SqliteBackendRepository({ path, ...more });
  t.teardown(() => repository.close());
  return repository;
}

/** Where only the times of files tell, those of the last moments do not, and the table is loaded once more. */
async function settled(repository: SqliteBackendRepository): Promise<void> {
  await until('a look that finds nothing new', async () => (await repository.look()).kind === 'unchanged');
}

t.test('a commit of another process to a WAL is seen, though the file itself does not change', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  const writer = new WriterProcess(t, path);
  await writer.exec('PRAGMA journal_mode = WAL');
  const repository = repositoryOf(t, path);
  t.same(idsOf(loaded(await repository.look())), ['a']);
  const before = statSync(path, { bigint: true });
  for (const id of ['b', 'c']) {
    await writer.exec(ROW(id));
    t.ok(idsOf(loaded(await repository.look())).includes(id), id);
    t.same(await repository.look(), { kind: 'unchanged' });
  }
  t.equal(statSync(path, { bigint: true }).mtimeNs, before.mtimeNs, 'only the WAL was written');
  await writer.exec(`BEGIN; ${ROW('d')}`);
  t.same(await repository.look(), { kind: 'unchanged' }, 'what is not committed is not there');
  await writer.exec('COMMIT');
  t.same(idsOf(loaded(await repository.look())), ['a', 'b', 'c', 'd']);
});

t.test('a commit during a load is seen by the next look', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  const repository = repositoryOf(t, path);
  // Both orders are right: what must not be is that the commit is in neither.
  const look = repository.look();
  writeRoutingDb(path, [{ id: 'a' }, { id: 'b' }]);
  let ids = idsOf(loaded(await look));
  const next = await repository.look();
  if (next.kind === 'loaded') ids = idsOf(next.content);
  t.same(ids, ['a', 'b']);
});

t.test('a database that replaces one still open for writing is read, not the old one through its WAL', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'routing.db');
  const replace = (id: string) => {
    writeRoutingDb(join(dir, 'new.db'), [{ id }]);
    renameSync(join(dir, 'new.db'), path);
  };
  writeRoutingDb(path, []);
  const writer = new WriterProcess(t, path);
  await writer.exec(`PRAGMA journal_mode = WAL; ${ROW('old')}`);
  const repository = repositoryOf(t, path);
  t.same(idsOf(loaded(await repository.look())), ['old']);

  replace('new');
  const plain = new Database(path, { readonly: true });
  t.same(plain.prepare('SELECT id FROM backends').pluck().all(), ['old'], 'the trap: SQLite itself reads the old rows');
  plain.close();
  const look = await repository.look();
  t.same(idsOf(loaded(look)), ['new']);
  t.match(look, { warning: /left-over/ });
  await settled(repository);

  await writer.exec(ROW('lost'));
  t.same(await repository.look(), { kind: 'unchanged' }, 'the old file is nobody\u2019s any more');
  replace('newer');
  t.same(idsOf(loaded(await repository.look())), ['newer']);
  await settled(repository);

  await writer.end();
  for (const sidecar of ['-wal', '-shm']) rmSync(path + sidecar);
  const mended = await repository.look();
  t.same(idsOf(loaded(mended)), ['newer']);
  t.notOk('warning' in mended);
  await new WriterProcess(t, path).exec(`PRAGMA journal_mode = WAL; ${ROW('later')}`);
  t.same(idsOf(loaded(await repository.look())), ['later', 'newer'], 'a WAL of its own is trusted');
});

t.test('a database in WAL mode that replaces another one is read the same way', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'routing.db');
  writeRoutingDb(path, [{ id: 'old' }]);
  const writer = new WriterProcess(t, path);
  await writer.exec('PRAGMA journal_mode = WAL; UPDATE backends SET weight = 2');
  const repository = repositoryOf(t, path);
  await repository.look();
  writeRoutingDb(join(dir, 'new.db'), []);
  const other = new Database(join(dir, 'new.db'));
  other.exec(`PRAGMA journal_mode = WAL; ${ROW('new')}`);
  other.close();
  renameSync(join(dir, 'new.db'), path);
  t.same(idsOf(loaded(await repository.look())), ['new']);
});

t.test('pages of the old file that its left-over WAL may have brought into the new one are not served', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'routing.db');
  writeRoutingDb(path, [{ id: 'old' }]);
  const writer = new WriterProcess(t, path);
  await writer.exec('PRAGMA journal_mode = WAL; UPDATE backends SET weight = 2');
  const repository = repositoryOf(t, path);
  t.same(idsOf(loaded(await repository.look())), ['old']);
  writeRoutingDb(join(dir, 'new.db'), [{ id: 'new' }]);
  renameSync(join(dir, 'new.db'), path);
  t.same(idsOf(loaded(await repository.look())), ['new']);

  // A program that opens the new file finds the WAL, and moves its pages to where they do not belong.
  const newcomer = new Database(path);
  newcomer.pragma('wal_checkpoint');
  const look = await repository.look();
  newcomer.close();
  t.match(look, { kind: 'failed', code: 'EDGE_ERR_DB_UNREADABLE', message: /put the new file in place again/ });

  await writer.end();
  for (const sidecar of ['-wal', '-shm']) rmSync(path + sidecar, { force: true });
  writeRoutingDb(join(dir, 'new.db'), [{ id: 'new' }]);
  renameSync(join(dir, 'new.db'), path);
  t.same(idsOf(loaded(await repository.look())), ['new']);
});

t.test('a new file made from the old one shares pages with its left-over WAL, and is served', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  const writer = new WriterProcess(t, path);
  await writer.exec(`PRAGMA journal_mode = WAL; ${ROW('b')}`);
  const repository = repositoryOf(t, path);
  await repository.look();
  await writer.exec('PRAGMA wal_checkpoint');
  copyFileSync(path, join(dir, 'new.db'));
  const written = statSync(join(dir, 'new.db')).mtimeMs;
  await until('a tick of the clock of files', () => Date.now() > written + 20);
  renameSync(join(dir, 'new.db'), path);
  t.same(idsOf(loaded(await repository.look())), ['a', 'b']);
});

t.test('a database that is copied over the one in place is seen', async (t) => {
  const dir = t.testdir();
  // Made by the same steps, both have the same change counter, which is all that PRAGMA data_version compares.
  for (const id of ['a', 'b']) writeRoutingDb(join(dir, id), [{ id }]);
  const path = join(dir, 'a');
  const repository = repositoryOf(t, path);
  t.same(idsOf(loaded(await repository.look())), ['a']);
  copyFileSync(join(dir, 'b'), path);
  t.same(idsOf(loaded(await repository.look())), ['b']);
});

t.test('an exclusive lock fails a look, and the next one after it loads', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  const repository = repositoryOf(t, path);
  const writer = new WriterProcess(t, path);
  await writer.exec('BEGIN EXCLUSIVE');
  t.match(await repository.look(), { kind: 'failed', code: 'EDGE_ERR_DB_LOCKED', message: path });
  await writer.exec(`COMMIT; BEGIN EXCLUSIVE; ${ROW('b')}`);
  t.match(await repository.look(), { kind: 'failed', code: 'EDGE_ERR_DB_LOCKED' });
  await writer.exec('COMMIT');
  t.same(idsOf(loaded(await repository.look())), ['a', 'b']);
  t.same(await repository.look(), { kind: 'unchanged' });
});

t.test('a missing database is not created, and found when it comes', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  const repository = repositoryOf(t, path);
  for (let i = 0; i < 2; i++) t.match(await repository.look(), { kind: 'failed', code: 'EDGE_ERR_DB_MISSING' });
  t.throws(() => statSync(path));
  writeRoutingDb(path, [{ id: 'a' }]);
  t.same(idsOf(loaded(await repository.look())), ['a']);
  rmSync(path);
  t.match(await repository.look(), { kind: 'failed', code: 'EDGE_ERR_DB_MISSING' });
});

t.test('a symbolic link is followed when it is turned to another file', async (t) => {
  const dir = t.testdir({ one: {}, two: {} });
  for (const id of ['one', 'two']) writeRoutingDb(join(dir, id, 'routing.db'), [{ id }]);
  symlinkSync('one', join(dir, 'current'));
  const repository = repositoryOf(t, join(dir, 'current', 'routing.db'));
  t.same(idsOf(loaded(await repository.look())), ['one']);
  symlinkSync('two', join(dir, 'next'));
  renameSync(join(dir, 'next'), join(dir, 'current'));
  t.same(idsOf(loaded(await repository.look())), ['two']);
});

t.test('new addresses of the host load the table again', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'a', port: 80 }]);
  const own: { host: string; port: number }[] = [];
  const repository = repositoryOf(t, path, { ownEndpoints: () => own });
  t.equal(loaded(await repository.look()).rows, 1);
  own.push({ host: '127.0.0.1', port: 80 });
  t.match(loaded(await repository.look()), { rows: 0, problemCount: 1 });
  t.same(await repository.look(), { kind: 'unchanged' });
});

t.test('a load that takes too long has failed, and the next may succeed', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  // The thread alone takes many times 1 ms to start.
  const hasty = repositoryOf(t, path, { loadTimeoutMs: 1 });
  t.match(await hasty.look(), { kind: 'failed', code: 'EDGE_ERR_DB_UNREADABLE', message: /longer than 1 ms/ });
  t.match(await hasty.look(), { kind: 'failed', code: 'EDGE_ERR_DB_UNREADABLE' });
  t.same(idsOf(loaded(await repositoryOf(t, path).look())), ['a']);
});

t.test('a WAL database without a WAL index that we may write', async (t) => {
  // What a read-only directory does to an ordinary user, in ways that also hold for root.
  const cases = {
    'no index can be made: the main file alone is read': (shm: string) => symlinkSync('nowhere', shm),
    'the index is read-only: SQLite reads without one': (shm: string) => mkdirSync(shm),
  };
  for (const [name, spoil] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const dir = t.testdir();
      const path = join(dir, 'routing.db');
      const replace = (id: string) => {
        writeRoutingDb(join(dir, 'new.db'), []);
        const db = new Database(join(dir, 'new.db'));
        db.exec(`PRAGMA journal_mode = WAL; ${ROW(id)}`);
        db.close();
        renameSync(join(dir, 'new.db'), path);
      };
      spoil(`${path}-shm`);
      replace('one');
      const repository = repositoryOf(t, path);
      const look = await repository.look();
      t.same(idsOf(loaded(look)), ['one']);
      t.notOk('warning' in look, 'it is the last commit all the same');
      await settled(repository);
      replace('two');
      t.same(idsOf(loaded(await repository.look())), ['two']);
    });
  }
});

t.test('a process ends by itself once the repository is closed', async (t) => {
  const module = new URL('../../../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts', import.meta.url).href;
  const dir = t.testdir({
    'program.mjs': `import { SqliteBackendRepository } from ${JSON.stringify(module)};
      const repository = new SqliteBackendRepository({ path: process.argv[2] });
      const look = await repository.look();
      await repository.close();
      process.stdout.write(look.kind);`,
  });
  const path = join(dir, 'routing.db');
  writeRoutingDb(path, [{ id: 'a' }]);
  const { stdout } = await execFileAsync(process.execPath, [join(dir, 'program.mjs'), path]);
  t.equal(stdout, 'loaded');
});

import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SqliteBackendRepository } from '../../../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { until } from '../../../fixtures/until.ts';
import { buildShim, NO_SHIM, openDirectory, recover, writePages } from './killed-writer.ts';
import { type Finding, findingOf, loadAll, ReaderProcess } from './reader-process.ts';
import { WriterProcess } from './writer-process.ts';

// What SQLite itself would not call committed is never served, whenever its writer dies and whoever reads.

const ROWS = 12;
const NOBODY = 65_534;
const NOT_ROOT = process.getuid?.() !== 0 && 'needs root, to read as another user';
/** A cache this small is written to the file long before the commit. */
const SPILL = 'PRAGMA cache_size = 4; PRAGMA cache_spill = 1;';
const UPDATE = "UPDATE backends SET weight = 2, note = note || 'y';";

/** What is done in peace before, and what the writer is killed in. */
const WRITERS: Readonly<Record<string, readonly [string, string]>> = {
  'a rollback journal, an update that spills': ['', `${SPILL} ${UPDATE}`],
  'a rollback journal, an update that does not': ['', UPDATE],
  'a rollback journal, all rows deleted': ['', `${SPILL} BEGIN; DELETE FROM backends; COMMIT;`],
  'a rollback journal that is truncated': [
    '',
    `PRAGMA journal_mode = TRUNCATE; UPDATE backends SET note = 'z'; ${SPILL} ${UPDATE}`,
  ],
  'a rollback journal that stays': [
    '',
    `PRAGMA journal_mode = PERSIST; UPDATE backends SET note = 'z'; ${SPILL} ${UPDATE}`,
  ],
  'a WAL, checkpoints, and its last user gone': [
    'PRAGMA journal_mode = WAL;',
    `${SPILL} ${UPDATE} PRAGMA wal_checkpoint(RESTART); UPDATE backends SET note = 'z'; PRAGMA wal_checkpoint(TRUNCATE);
     UPDATE backends SET note = 'zz';`,
  ],
  'a rollback journal, then a WAL, and back': [
    '',
    `PRAGMA journal_mode = WAL; ${SPILL} ${UPDATE} PRAGMA journal_mode = DELETE;`,
  ],
};
const [WAL_SETUP, WAL_WRITER] = WRITERS['a WAL, checkpoints, and its last user gone']!;

const pathIn = (directory: string) => join(directory, 'routing.db');

/** Nothing but `old`, `current` or a failure that says what to do about a writer that died. */
function judge(t: Test, found: readonly Finding[], truth: readonly Finding[], who: string): void {
  const wrong = found.flatMap((finding, i) => {
    if (finding.kind === 'loaded' && finding.rows === truth[i]!.rows) return [];
    const helpful =
      /-(journal|wal) holds/.test(finding.message ?? '') && !/right to read it/.test(finding.message ?? '');
    if (finding.kind === 'failed' && finding.code === 'EDGE_ERR_DB_UNREADABLE' && helpful) return [];
    return [{ i, finding, truth: truth[i] }];
  });
  t.same(wrong.slice(0, 3), [], `${who}: ${wrong.length} of ${found.length} wrong`);
}

const shim = NO_SHIM ? null : buildShim(t);

t.test('a writer killed at any call', { skip: NO_SHIM }, async (t) => {
  const reader = NOT_ROOT ? null : new ReaderProcess(t, NOBODY);
  if (NOT_ROOT) t.comment(`as a user who may not write there: ${NOT_ROOT}`);
  for (const [name, [setup, sql]] of Object.entries(WRITERS)) {
    await t.test(name, async (t) => {
      const path = pathIn(openDirectory(t));
      writePages(path, ROWS, setup);
      const old = (await loadAll([path]))[0]!;
      const snapshots = await shim!.snapshots(path, sql);
      const current = (await loadAll([path]))[0]!;
      t.not(current.rows, old.rows);
      const paths = snapshots.map(pathIn);
      t.comment(`${paths.length} states`);

      const foundByNobody = (await reader?.loadAll(paths)) ?? [];
      const found = await loadAll(paths);
      for (const each of paths) recover(each);
      const truth = await loadAll(paths);

      const first = truth.findIndex(({ rows }) => rows === current.rows);
      t.ok(first > 0, 'the commit is among them');
      t.ok(
        truth.every(({ rows }, i) => rows === (i < first ? old : current).rows),
        'recovered, each is of one commit',
      );
      judge(t, found, truth, 'the owner');
      judge(t, foundByNobody, truth, 'nobody');
      if (sql.includes(SPILL)) {
        const failed = found.filter(({ kind }) => kind === 'failed').length;
        t.ok(setup === WAL_SETUP ? failed === 0 : failed > 0, `${failed} failed`);
      }
    });
  }

  await t.test('a WAL, read by one who may not write its index', { skip: NOT_ROOT }, async (t) => {
    const path = pathIn(openDirectory(t));
    writePages(path, ROWS, WAL_SETUP);
    const paths = (await shim!.snapshots(path, WAL_WRITER)).map(pathIn);

    // SQLite itself tries a WAL that is a header alone for ten seconds, in the primary's loop, and gives up.
    const alone = paths.filter((each) => statSync(`${each}-wal`, { throwIfNoEntry: false })?.size === 32).pop()!;
    t.match(await reader!.look(alone), { kind: 'loaded' });
    await until('a look that finds nothing new', async () => (await reader!.look(alone)).kind === 'unchanged');
    recover(alone, 'UPDATE backends SET weight = 5');
    t.match(await reader!.look(alone), { kind: 'loaded', rows: /:5/ });

    for (const each of paths) rmSync(`${each}-shm`, { force: true });
    const found = await reader!.loadAll(paths);
    for (const each of paths) recover(each);
    judge(t, found, await loadAll(paths), 'nobody, without an index');
    t.ok(found.some(({ message }) => /-wal holds/.test(message ?? '')));
  });
});

t.test('a writer of two databases killed in a commit of both', { skip: NO_SHIM }, async (t) => {
  let failed = 0;
  // Every call would do as well; each of them is a process.
  for (let n = 12, killed = true; killed; n += 16) {
    const directory = openDirectory(t);
    const [path, other] = [pathIn(directory), join(directory, 'other.db')];
    for (const each of [path, other]) writePages(each, 3);
    const [old] = await loadAll([path]);
    const both = `UPDATE main.backends SET weight = 2; UPDATE other.backends SET weight = 2;`;
    killed = await shim!.killAt(path, `ATTACH '${other}' AS other; BEGIN; ${both} COMMIT;`, n);
    const found = await loadAll([path, other]);
    failed += found.filter(({ kind }) => kind === 'failed').length;
    for (const each of [path, other]) recover(each);
    const truth = await loadAll([path, other]);
    t.equal(truth[0]!.rows, truth[1]!.rows, `call ${n}: both or neither`);
    if (!killed) t.not(truth[0]!.rows, old!.rows);
    judge(t, found, truth, `call ${n}`);
    if (n > 500) throw new Error('a commit of so many calls');
  }
  t.ok(failed > 0, `${failed} failed`);
});

for (const who of ['the owner', 'a user who may not write there'] as const) {
  t.test(
    `${who}: a table is followed through a death and its recovery`,
    {
      skip: who !== 'the owner' && NOT_ROOT,
    },
    async (t) => {
      const path = pathIn(openDirectory(t));
      writePages(path, ROWS);
      const reader = who === 'the owner' ? null : new ReaderProcess(t, NOBODY);
      const repository = new SqliteBackendRepository({ path });
      t.teardown(() => repository.close());
      const look = async () => reader?.look(path) ?? findingOf(await repository.look());
      const weights = async () => /:(\d)/.exec((await look()).rows ?? '')?.[1];
      t.equal(await weights(), '1');

      const writer = new WriterProcess(t, path);
      await writer.exec(`${SPILL} BEGIN; ${UPDATE}`);
      await writer.end();
      for (let i = 0; i < 3; i++) t.match(await look(), { kind: 'failed', message: /routing\.db-journal holds/ });
      recover(path);
      t.equal(await weights(), '1', 'recovered');
      for (const journal of ['DELETE', 'PERSIST', 'WAL'] as const) {
        for (const weight of [3, 4]) {
          const next = new WriterProcess(t, path);
          await next.exec(`PRAGMA journal_mode = ${journal}; UPDATE backends SET weight = ${weight}`);
          t.equal(await weights(), `${weight}`, `a commit by way of ${journal} is seen by the next look`);
          // What it leaves in WAL mode is read without it.
          await next.end();
          t.match(await look(), { kind: /loaded|unchanged/ });
        }
      }
    },
  );
}

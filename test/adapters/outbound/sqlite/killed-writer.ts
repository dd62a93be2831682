import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { Test } from 'tap';
import { WriterProcess } from './writer-process.ts';

const SOURCE = fileURLToPath(new URL('write-calls.c', import.meta.url));

/** Why no writer can be stopped at a call of its choice here, or `false`. */
export const NO_SHIM: string | false =
  process.platform !== 'linux'
    ? 'needs Linux: a library is preloaded into the writer'
    : spawnSync('cc', ['--version']).error !== undefined
      ? 'needs a C compiler'
      : false;

/** A directory that every user may read, and only its owner write; gone when the test ends. */
export function openDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'edgeproxy-test-'));
  chmodSync(directory, 0o755);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Shim {
  /** What a program that writes to `path` leaves when it is killed before its 1st, 2nd ... call; equal ones once. */
  snapshots(path: string, sql: string): Promise<string[]>;
  /** Kills a program that writes to `path` before its n-th call; whether it came to that. */
  killAt(path: string, sql: string, n: number): Promise<boolean>;
}

export function buildShim(t: Test): Shim {
  const directory = openDirectory(t);
  const shim = join(directory, 'write-calls.so');
  const { status, stderr } = spawnSync('cc', ['-O1', '-shared', '-fPIC', '-o', shim, SOURCE, '-ldl']);
  if (status !== 0) throw new Error(`cc: ${stderr}`);
  const run = (path: string, sql: string, env: Record<string, string>) =>
    new WriterProcess(t, path, { LD_PRELOAD: shim, WRITER_DATABASE: path, ...env }).execLast(sql);
  return {
    async snapshots(path, sql) {
      const snapshots = mkdtempSync(join(directory, 'snapshots-'));
      chmodSync(snapshots, 0o755);
      const signal = await run(path, sql, { WRITER_SNAPSHOTS: snapshots });
      if (signal !== null) throw new Error(`the writer ended by ${signal}`);
      const seen = new Set<string>();
      return readdirSync(snapshots)
        .sort()
        .map((name) => join(snapshots, name))
        .filter((each) => {
          const content = contentOf(each);
          return !seen.has(content) && seen.add(content);
        });
    },
    async killAt(path, sql, n) {
      return (await run(path, sql, { WRITER_KILL_AT: String(n) })) === 'SIGKILL';
    },
  };
}

function contentOf(directory: string): string {
  return readdirSync(directory)
    .sort()
    .map((name) => `${name}:${readFileSync(join(directory, name)).toString('latin1')}`)
    .join('\n');
}

/** Few rows, and enough pages of them that a writer with a small cache writes before it commits. Then executes `sql`. */
export function writePages(path: string, rows: number, sql = ''): void {
  const db = new Database(path);
  db.exec(`PRAGMA page_size = 512; CREATE TABLE backends (id TEXT PRIMARY KEY, app TEXT, region TEXT, country TEXT,
    wg_ip TEXT, port INTEGER, healthy INTEGER, weight INTEGER, soft_limit INTEGER, hard_limit INTEGER, deleted INTEGER, note TEXT)`);
  const insert = db.prepare("INSERT INTO backends VALUES (?, '', 'eu', NULL, '10.0.0.1', 80, 1, 1, 0, 0, 0, ?)");
  db.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(`b${String(i).padStart(2, '0')}`, 'x'.repeat(400));
  })();
  db.exec(sql);
  db.close();
}

/** What the next program that may write there does, whatever it wants: SQLite recovers the file. */
export function recover(path: string, sql = 'PRAGMA user_version'): void {
  const db = new Database(path);
  db.pragma('synchronous = OFF');
  db.exec(sql);
  db.close();
}

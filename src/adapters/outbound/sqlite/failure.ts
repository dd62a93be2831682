// Runs in: primary, thread, cli
import { codeOf, EdgeError, messageOf } from '../../../errors.ts';

/** Turns whatever SQLite or the file system threw about the database at `path` into an error that says what to do. */
export function databaseError(error: unknown, path: string): EdgeError {
  if (error instanceof EdgeError) return error;
  const code = codeOf(error);
  const options = { cause: error };
  if (code === 'ENOENT' || code === 'ENOTDIR') return missingError(path, options);
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code)) {
    return new EdgeError(
      'EDGE_ERR_DB_LOCKED',
      `${path} is locked by another process: let it finish or end its transaction`,
      options,
    );
  }
  if (isHotJournal(error)) return unfinishedCommit(path, error);
  return new EdgeError(
    'EDGE_ERR_DB_UNREADABLE',
    `${path} cannot be read: ${adviceFor(code, messageOf(error))}`,
    options,
  );
}

export function missingError(path: string, options?: { cause?: unknown }): EdgeError {
  return new EdgeError(
    'EDGE_ERR_DB_MISSING',
    `${path} does not exist: put the routing database there, or set EDGEPROXY_DB_PATH to where it is`,
    options,
  );
}

/** Whether a writer died in a commit: the journal that undoes it stands there, and a reader may not apply it. */
function isHotJournal(error: unknown): boolean {
  return codeOf(error) === 'SQLITE_READONLY_ROLLBACK';
}

/** Whether SQLite could not open the file or what it needs beside it, such as a WAL index in a read-only directory. */
export function isCannotOpen(error: unknown): boolean {
  // READONLY_*: the WAL must be recovered, or its index made, and neither may be written.
  return /^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(error));
}

export function unfinishedCommit(path: string, cause: unknown): EdgeError {
  return new EdgeError(
    'EDGE_ERR_DB_UNREADABLE',
    `${path}-journal holds what undoes a commit that did not finish: a program died in it. Open ${path} once with a ` +
      `program that may write there, and SQLite undoes it: sqlite3 ${path} "PRAGMA user_version", or edgeproxy backends ` +
      `list. If ${path} was replaced since, remove the -journal file instead`,
    { cause },
  );
}

export function unreadableWal(path: string, cause: unknown): EdgeError {
  return new EdgeError(
    'EDGE_ERR_DB_UNREADABLE',
    `${path}-wal holds commits that cannot be read (${messageOf(cause)}): let edgeProxy's user write to the directory ` +
      `and to the -shm file in it, or have a program that may write there put them into ${path}: ` +
      `sqlite3 ${path} "PRAGMA wal_checkpoint(TRUNCATE)"`,
    { cause },
  );
}

function adviceFor(code: string, message: string): string {
  const detail = `${message}${code === '' || message.includes(code) ? '' : ` (${code})`}`;
  if (code.startsWith('SQLITE_NOTADB')) return `${detail}. Replace it with a SQLite database`;
  if (code.startsWith('SQLITE_CORRUPT'))
    return `${detail}. Run "PRAGMA integrity_check" on it and put a good copy in place`;
  if (code === 'EACCES' || code === 'EPERM' || isCannotOpen({ code })) {
    return `${detail}. Give edgeProxy's user the right to read it`;
  }
  return detail;
}

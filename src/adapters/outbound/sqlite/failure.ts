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

/** Whether SQLite could not open the file or what it needs beside it, such as a WAL index in a read-only directory. */
export function isCannotOpen(error: unknown): boolean {
  // READONLY_*: the WAL must be recovered, or its index made, and neither may be written.
  return /^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(error));
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

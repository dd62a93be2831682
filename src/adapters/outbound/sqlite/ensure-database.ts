// Runs in: primary, cli
import { closeSync, fstatSync, openSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { codeOf, EdgeError, messageOf } from '../../../errors.ts';
import { CREATE_TABLE } from './schema.ts';

/**
 * Creates an empty routing database at `path` when nothing stands there; what stands there is left as it is.
 * Throws EDGE_ERR_DB_UNREADABLE when the directory does not exist or may not be written.
 *
 * The journal mode is SQLite's default, DELETE: the database is then one file, which operators can copy, replace and
 * restore as such, from a directory that we cannot write as well. WAL is theirs to choose; we read both.
 */
export function ensureDatabase(path: string): 'created' | 'existed' {
  const empty = new Database(':memory:');
  try {
    empty.exec(CREATE_TABLE);
    // One write of a finished file with O_EXCL: neither a file that another program makes now is touched, nor does
    // anyone find a database whose table is still missing.
    const file = openSync(path, 'wx');
    try {
      writeFileSync(file, empty.serialize(), { flush: true });
    } catch (error) {
      removeOwn(path, file);
      throw error;
    } finally {
      closeSync(file);
    }
    return 'created';
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return 'existed';
    const reason = codeOf(error) === 'ENOENT' ? 'its directory does not exist' : messageOf(error);
    const message = `${path} cannot be created: ${reason}. Set EDGEPROXY_DB_PATH to where edgeProxy's user may write`;
    throw new EdgeError('EDGE_ERR_DB_UNREADABLE', message, { cause: error });
  } finally {
    empty.close();
  }
}

/** An empty file, which a full disk leaves, would be taken for a database without its table by every start after it. */
function removeOwn(path: string, file: number): void {
  const made = fstatSync(file);
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.ino === made.ino && there.dev === made.dev) unlinkSync(path);
}

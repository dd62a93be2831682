// Runs in: thread
import Database from 'better-sqlite3';
import { isCannotOpen } from './failure.ts';
import { idOf, isHeaderAlone, sameFile, statOrNull } from './file-id.ts';
import type { LeftOverWal } from './left-over-wal.ts';
import { readAlone } from './read-alone.ts';

/** How long a load waits for a writer that holds the file locked, ms: the thread is ours alone, the next look is near. */
const BUSY_TIMEOUT_MS = 250;
/** Where the file format tells the journal mode (write version, read version); 1 rollback, 2 WAL. */
const WRITE_VERSION = 18;
const READ_VERSION = 19;

/** A database inside a read transaction: all that is read from it is one commit's. The caller closes `db`. */
export interface OpenedTable {
  readonly db: Database.Database;
  /** For the operator: the file was read in another way than usual, and what follows from that. */
  readonly warning?: string;
}

/**
 * Opens `path`, a real path, read-only. SQLite would read the pages of the file that stood here before out of a
 * `leftOver` WAL, so beside that the main file's bytes alone are read; the same where SQLite cannot open it in place.
 * Throws EDGE_ERR_DB_* when those bytes may not be a commit, and what SQLite and the file system throw.
 */
export async function openTable(path: string, leftOver: LeftOverWal | null): Promise<OpenedTable> {
  const wal = await statOrNull(`${path}-wal`);
  if (wal !== null && leftOver !== null && sameFile(idOf(wal), leftOver.wal)) {
    const warning =
      `${path} was replaced while a program had the old file open: its left-over ${path}-wal is ignored, and so are commits made now. ` +
      'End that program, then remove the -wal and -shm files';
    return { db: openBytes(await readAlone(path, leftOver)), warning };
  }
  if (isHeaderAlone(wal)) return { db: openBytes(await readAlone(path, null)) };
  try {
    return { db: openInPlace(path) };
  } catch (error) {
    // Also for a hot journal: to one that may not write, SQLite calls it so while a living writer makes or removes one.
    if (!isCannotOpen(error)) throw error;
    return { db: openBytes(await readAlone(path, null, error)) };
  }
}

function openInPlace(path: string): Database.Database {
  return inTransaction(new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS }));
}

function openBytes(bytes: Buffer): Database.Database {
  // In WAL mode SQLite would look for a WAL, which a database in memory cannot have.
  if (bytes[WRITE_VERSION] === 2) bytes[WRITE_VERSION] = 1;
  if (bytes[READ_VERSION] === 2) bytes[READ_VERSION] = 1;
  return inTransaction(new Database(bytes, { readonly: true }));
}

/** The first read takes the snapshot, and meets whatever is wrong with the file. */
function inTransaction(db: Database.Database): Database.Database {
  try {
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

// Runs in: thread
import { open } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { EdgeError, messageOf } from '../../../errors.ts';
import { isCannotOpen } from './failure.ts';
import { type FileId, sameFile, walIdOf } from './file-id.ts';

/** How long a load waits for a writer that holds the file locked, ms: the thread is ours alone, the next look is near. */
const BUSY_TIMEOUT_MS = 250;
/** A file that has to be read into memory whole may have at most this many bytes; a million rows take about a fifth. */
const MAX_BYTES = 512 * 1024 * 1024;
const READ_TRIES = 3;
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
 * Opens `path`, a real path, read-only. A WAL that is `distrusted` belongs to a file that stood here before: SQLite would
 * read that file's pages out of it, so the main file's bytes alone are read. Throws what SQLite and the file system throw.
 */
export async function openTable(path: string, distrusted: FileId | null): Promise<OpenedTable> {
  if (distrusted !== null && sameFile(await walIdOf(path), distrusted)) {
    return openAlone(
      path,
      `${path} was replaced while a program had the old file open: its left-over ${path}-wal is ignored, and so are commits made now. ` +
        'End that program, then remove the -wal and -shm files',
    );
  }
  try {
    return { db: openInPlace(path) };
  } catch (error) {
    if (!isCannotOpen(error)) throw error;
    return openAlone(
      path,
      `${path} was read without its -wal and -shm files (${messageOf(error)}): commits that are not yet checkpointed are not seen. ` +
        "Give edgeProxy's user the right to write to its directory, or use journal_mode=DELETE",
    );
  }
}

function openInPlace(path: string): Database.Database {
  return inTransaction(new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS }));
}

async function openAlone(path: string, warning: string): Promise<OpenedTable> {
  const bytes = await readWhole(path);
  // In WAL mode SQLite would look for a WAL, which a database in memory cannot have.
  if (bytes[WRITE_VERSION] === 2) bytes[WRITE_VERSION] = 1;
  if (bytes[READ_VERSION] === 2) bytes[READ_VERSION] = 1;
  return { db: inTransaction(new Database(bytes, { readonly: true })), warning };
}

/** Nothing is locked on this way: a read that a writer came between is done again. */
async function readWhole(path: string): Promise<Buffer> {
  await using file = await open(path, 'r');
  for (let tries = 0; tries < READ_TRIES; tries++) {
    const before = await file.stat({ bigint: true });
    if (before.size > MAX_BYTES) {
      throw new EdgeError(
        'EDGE_ERR_DB_UNREADABLE',
        `${path} is larger than ${MAX_BYTES} bytes: too large to read whole`,
      );
    }
    const bytes = Buffer.alloc(Number(before.size));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const after = await file.stat({ bigint: true });
    if (bytesRead === bytes.length && after.mtimeNs === before.mtimeNs && after.size === before.size) return bytes;
  }
  throw new EdgeError('EDGE_ERR_DB_LOCKED', `${path} is being written: let the writer finish`);
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

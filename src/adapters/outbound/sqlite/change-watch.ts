// Runs in: primary
import Database from 'better-sqlite3';
import { codeOf } from '../../../errors.ts';
import { isCannotOpen } from './failure.ts';
import { type FileId, sameFile, walIdOf } from './file-id.ts';

interface Connection {
  readonly db: Database.Database;
  readonly version: Database.Statement<[]>;
  readonly main: FileId;
  wal: FileId | null;
}

/**
 * A read-only connection that stays open to ask `PRAGMA data_version`, which moves with every commit of another
 * connection (the file's own times do not move on a commit to a WAL). It reads no rows and never waits for a lock.
 */
export class ChangeWatch {
  #connection: Connection | null = null;
  /** Counts connections: the versions of two of them cannot be compared. */
  #opened = 0;

  /** The WAL beside the watched file, as far as it is known. */
  get wal(): FileId | null {
    return this.#connection?.wal ?? null;
  }

  /**
   * A text that stays equal while nobody commits. `path` is a real path, and `main` and `wal` are the files that stand
   * there: when they are others than before, the connection is opened again. `busy`: a writer holds the file locked.
   * `unusable`: no connection can be had without writing beside the file. Throws what else SQLite throws.
   */
  async version(path: string, main: FileId, wal: FileId | null): Promise<string> {
    try {
      const known = this.#connection;
      if (known !== null && sameFile(known.main, main) && sameFile(known.wal, wal)) return this.#ask(known);
      this.close();
      const connection = connect(path, main, wal);
      this.#connection = connection;
      this.#opened++;
      const version = this.#ask(connection);
      // The first read of a WAL database makes its WAL when there is none: that one is no change.
      connection.wal = await walIdOf(path);
      return version;
    } catch (error) {
      this.close();
      if (isCannotOpen(error)) return 'unusable';
      if (codeOf(error).startsWith('SQLITE_BUSY')) return 'busy';
      throw error;
    }
  }

  close(): void {
    this.#connection?.db.close();
    this.#connection = null;
  }

  #ask(connection: Connection): string {
    const version = connection.version.get();
    // Without a WAL index that it may write, SQLite builds one anew for every read, and calls each of them a change.
    if (connection.version.get() !== version) {
      this.close();
      return 'unusable';
    }
    return `${this.#opened}.${version}`;
  }
}

function connect(path: string, main: FileId, wal: FileId | null): Connection {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
  try {
    return { db, version: db.prepare<[]>('PRAGMA data_version').pluck(), main, wal };
  } catch (error) {
    db.close();
    throw error;
  }
}

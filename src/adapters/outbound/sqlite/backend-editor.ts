// Runs in: cli
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import {
  type ColumnName,
  type IsOwnEndpoint,
  isProblem,
  type RawRow,
  readRow,
  showValue,
} from '../../../domain/backend-row.ts';
import type { Backend } from '../../../domain/entities.ts';
import type { RowProblem } from '../../../domain/table-image.ts';
import { codeOf, EdgeError, messageOf } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';
import {
  type BackendChanges,
  columnsOfChanges,
  columnsOfNew,
  invalidBackend,
  type NewBackend,
} from './backend-fields.ts';
import { ensureDatabase } from './ensure-database.ts';
import { databaseError, missingError } from './failure.ts';
import { nearestId } from './nearest-id.ts';
import { type OwnEndpoint, ownEndpointTest } from './own-endpoints.ts';
import { missingColumns, OPTIONAL_COLUMNS, selectList } from './schema.ts';

/** A stored row: either a backend, or the first thing that is wrong with it. */
export interface StoredBackend {
  /** SQLite's number of the row, for one whose id is no text; `null` for a table without such numbers. */
  readonly rowid: number | null;
  /** The id; for people only, when `problem` is about it. */
  readonly id: string;
  readonly backend: Backend | null;
  readonly problem: RowProblem | null;
}

export interface BackendEditorOptions {
  readonly path: string;
  /** Create a missing database (default), or fail with EDGE_ERR_DB_MISSING. */
  readonly create?: boolean;
  /** Addresses that a backend may not have. Default: none. */
  readonly ownEndpoints?: readonly OwnEndpoint[];
  /** How long to wait for another writer, ms. Default 5,000. */
  readonly busyTimeoutMs?: number;
}

type EditedRow = RawRow & { readonly rowid: number | null };
type Stored = string | number | null;

/**
 * Edits the routing database by the rules that it is read by. Each method is one transaction. All throw EDGE_ERR_DB_*;
 * those that take an id EDGE_ERR_BACKEND_UNKNOWN; those that take values EDGE_ERR_BACKEND_INVALID, and
 * EDGE_ERR_DB_SCHEMA for a value whose column an older file does not have.
 */
export class BackendEditor {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #missing: ReadonlySet<ColumnName>;
  readonly #select: string;
  readonly #isOwn: IsOwnEndpoint;

  constructor(options: BackendEditorOptions) {
    this.#path = options.path;
    this.#isOwn = ownEndpointTest(options.ownEndpoints ?? []);
    if (options.create ?? true) ensureDatabase(options.path);
    else if (!existsSync(options.path)) throw missingError(options.path);
    let db: Database.Database | null = null;
    try {
      db = new Database(options.path, { fileMustExist: true, timeout: options.busyTimeoutMs ?? 5_000 });
      this.#db = db;
      this.#missing = missingColumns(db, options.path);
      this.#select = `SELECT ${rowidOf(db)} AS rowid, ${selectList(this.#missing)} FROM backends`;
    } catch (error) {
      db?.close();
      throw databaseError(error, options.path);
    }
  }

  /** Every row, ordered by id: deleted and invalid ones too, so that they can be seen and mended. */
  list(): StoredBackend[] {
    return this.#run(() => this.#db.prepare<[], EditedRow>(`${this.#select} ORDER BY id`).all().map(describe));
  }

  get(id: string): StoredBackend {
    return this.#run(() => describe(this.#find(id)));
  }

  /** Throws EDGE_ERR_BACKEND_EXISTS when a row, deleted or not, has the id. */
  add(backend: NewBackend): StoredBackend {
    return this.#write(() => {
      const values = this.#storable(columnsOfNew(backend));
      const existing = this.#rowOf(backend.id);
      if (existing !== undefined) {
        const hint = existing.deleted === 1 ? 'it is removed: restore or delete it' : 'change it instead';
        throw new EdgeError('EDGE_ERR_BACKEND_EXISTS', `backend ${showValue(backend.id)} exists: ${hint}`);
      }
      const columns = Object.keys(values);
      const marks = columns.map(() => '?').join(', ');
      this.#db.prepare(`INSERT INTO backends (${columns.join(', ')}) VALUES (${marks})`).run(...Object.values(values));
      const row = this.#find(backend.id);
      this.#refuseLoop(row);
      return describe(row);
    });
  }

  /** Changes what is given. A row that is bad in another column is changed too: it may take several steps to mend. */
  set(id: string, changes: BackendChanges): StoredBackend {
    return this.#write(() => {
      const values = this.#storable(columnsOfChanges(changes));
      this.#find(id);
      const columns = Object.keys(values);
      if (columns.length > 0) {
        const assignments = columns.map((column) => `${column} = ?`).join(', ');
        this.#db.prepare(`UPDATE backends SET ${assignments} WHERE id = ?`).run(...Object.values(values), id);
      }
      const row = this.#find(id);
      if ('wg_ip' in values || 'port' in values) this.#refuseLoop(row);
      return describe(row);
    });
  }

  /** Marks it healthy. */
  enable(id: string): StoredBackend {
    return this.set(id, { healthy: true });
  }

  /** Marks it unhealthy: it gets no new connections, and its clients are bound elsewhere. */
  disable(id: string): StoredBackend {
    return this.set(id, { healthy: false });
  }

  /** Marks it deleted; `set(id, {deleted: false})` restores it. */
  remove(id: string): StoredBackend {
    return this.set(id, { deleted: true });
  }

  /** Deletes its row; returns what that was. */
  delete(id: string): StoredBackend {
    return this.#write(() => {
      const row = describe(this.#find(id));
      this.#db.prepare('DELETE FROM backends WHERE id = ?').run(id);
      return row;
    });
  }

  /** Deletes the row of a number out of `list()`: the only way to one whose id is NULL or no text. */
  deleteRow(rowid: number): StoredBackend {
    return this.#write(() => {
      const name = rowidOf(this.#db);
      const row = this.#db.prepare<[number], EditedRow>(`${this.#select} WHERE ${name} = ?`).get(rowid);
      if (row === undefined)
        throw new EdgeError('EDGE_ERR_BACKEND_UNKNOWN', `there is no row ${rowid}: list shows them`);
      this.#db.prepare(`DELETE FROM backends WHERE ${name} = ?`).run(rowid);
      return describe(row);
    });
  }

  close(): void {
    this.#db.close();
  }

  #rowOf(id: string): EditedRow | undefined {
    return this.#db.prepare<[string], EditedRow>(`${this.#select} WHERE id = ?`).get(id);
  }

  #find(id: string): EditedRow {
    const row = this.#rowOf(id);
    if (row !== undefined) return row;
    const ids = this.#db.prepare<[], string>("SELECT id FROM backends WHERE typeof(id) = 'text'").pluck().iterate();
    const near = nearestId(id, ids);
    const hint = near === null ? 'list shows those that exist' : `did you mean ${showValue(near)}?`;
    throw new EdgeError('EDGE_ERR_BACKEND_UNKNOWN', `there is no backend ${showValue(id)}: ${hint}`);
  }

  /** Without the values of columns that the file has not, if they say no more than the missing column does. */
  #storable(values: Partial<Record<ColumnName, Stored>>): Partial<Record<ColumnName, Stored>> {
    const entries = Object.entries(values) as [ColumnName, Stored][];
    return Object.fromEntries(
      entries.filter(([column, value]) => {
        if (!this.#missing.has(column)) return true;
        if (value === null || value === 0) return false;
        const message = `${this.#path} has no column ${column}: add it with: ${OPTIONAL_COLUMNS[column]}`;
        throw new EdgeError('EDGE_ERR_DB_SCHEMA', message);
      }),
    );
  }

  #refuseLoop(row: EditedRow): void {
    if (isProblem(readRow(row, { parseAddress, isOwn: () => false }))) return;
    const problem = readRow(row, { parseAddress, isOwn: this.#isOwn });
    if (isProblem(problem)) throw invalidBackend(row, 'wg_ip', problem.expected);
  }

  /** Takes the write lock first, so that what is checked still holds when it is written. A throw undoes all. */
  #write<T>(change: () => T): T {
    return this.#run(() => this.#db.transaction(change).immediate());
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const code = codeOf(error);
      if (code.startsWith('SQLITE_CONSTRAINT')) {
        const message = `a rule of the database itself refuses it: ${messageOf(error)}`;
        throw new EdgeError('EDGE_ERR_BACKEND_INVALID', message, { cause: error });
      }
      if (code.startsWith('SQLITE_READONLY')) {
        const message = `${this.#path} cannot be written: its owner, or root, has to edit it`;
        throw new EdgeError('EDGE_ERR_DB_UNREADABLE', message, { cause: error });
      }
      throw databaseError(error, this.#path);
    }
  }
}

function describe(row: EditedRow): StoredBackend {
  const read = readRow(row, { parseAddress, isOwn: () => false });
  const bad = isProblem(read);
  return { rowid: row.rowid, id: read.id, backend: bad ? null : read, problem: bad ? read : null };
}

/** `_rowid_`, or `NULL` for a WITHOUT ROWID table or a view. */
function rowidOf(db: Database.Database): string {
  try {
    db.prepare('SELECT _rowid_ FROM backends');
    return '_rowid_';
  } catch (error) {
    if (codeOf(error) === 'SQLITE_ERROR') return 'NULL';
    throw error;
  }
}

// Runs in: thread
import { stat } from 'node:fs/promises';
import type { JudgedRows } from '../../../domain/backend-row.ts';
import { TableFeed } from '../../../domain/table-delta.ts';
import { EdgeError } from '../../../errors.ts';
import { databaseError } from './failure.ts';
import { idOf, sameFile, walIdOf } from './file-id.ts';
import { LOAD_VERSION, type LoadReply, type LoadRequest, otherRelease } from './load-protocol.ts';
import { openTable } from './open.ts';
import { ownEndpointTest } from './own-endpoints.ts';
import { MAX_ROWS, readBackends } from './read.ts';

type Loaded = LoadReply & { kind: 'loaded' };
type Failed = LoadReply & { kind: 'failed' };

/** The rows of a routing database. */
export interface ReadTable extends JudgedRows, Pick<Loaded, 'file' | 'warning'> {
  readonly kind: 'read';
}

/** Loads routing tables for a primary, and knows what it told it last. */
export class TableLoader {
  readonly #feed = new TableFeed();

  /** Never throws. */
  async load(request: LoadRequest): Promise<LoadReply> {
    if (request.version !== LOAD_VERSION) return { kind: 'failed', ...otherRelease() };
    const read = await readTable(request);
    if (read.kind === 'failed') return read;
    const { file, warning } = read;
    const content = this.#feed.tell(read, request.have);
    const version = LOAD_VERSION;
    return { kind: 'loaded', version, content, file, ...(warning === undefined ? {} : { warning }) };
  }
}

/** Reads the routing table. Never throws. */
export async function readTable(
  request: Pick<LoadRequest, 'path' | 'leftOver' | 'ownEndpoints' | 'maxRows'>,
): Promise<ReadTable | Failed> {
  const { path } = request;
  try {
    const stats = await stat(path, { bigint: true });
    // Opening a FIFO would block for ever, inside a system call that no abort reaches.
    if (!stats.isFile()) throw new EdgeError('EDGE_ERR_DB_UNREADABLE', `${path} is not a regular file`);
    const { db, warning } = await openTable(path, request.leftOver);
    try {
      const rows = readBackends(db, path, ownEndpointTest(request.ownEndpoints), request.maxRows ?? MAX_ROWS);
      const main = idOf(stats);
      const wal = await walIdOf(path);
      const same = sameFile(main, idOf(await stat(path, { bigint: true })));
      const file = same ? { main, wal } : null;
      return { kind: 'read', ...rows, file, ...(warning === undefined ? {} : { warning }) };
    } finally {
      db.close();
    }
  } catch (error) {
    const { code, message } = databaseError(error, path);
    return { kind: 'failed', code, message };
  }
}

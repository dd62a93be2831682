// Runs in: thread
import { stat } from 'node:fs/promises';
import type { Listener } from '../../../domain/entities.ts';
import { buildTableImage, type TableImage } from '../../../domain/table-image.ts';
import { EdgeError, type ErrorCode } from '../../../errors.ts';
import { databaseError } from './failure.ts';
import { type FileId, idOf, sameFile, walIdOf } from './file-id.ts';
import type { LeftOverWal } from './left-over-wal.ts';
import { openTable } from './open.ts';
import { type OwnEndpoint, ownEndpointTest } from './own-endpoints.ts';
import { MAX_ROWS, readBackends } from './read.ts';

/** What the primary asks of the loading thread. */
export interface LoadRequest {
  /** A real path: no symbolic link. */
  readonly path: string;
  readonly listeners: readonly Pick<Listener, 'app'>[];
  readonly ownEndpoints: readonly OwnEndpoint[];
  readonly leftOver: LeftOverWal | null;
  /** Default MAX_ROWS. */
  readonly maxRows?: number;
}

/** What the loading thread answers. */
export type LoadReply =
  | {
      readonly kind: 'loaded';
      readonly image: TableImage;
      /** The file that was read, and the WAL beside it; `null` when it was replaced during the load. */
      readonly file: { readonly main: FileId; readonly wal: FileId | null } | null;
      readonly warning?: string;
    }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** Loads the routing table. Never throws. */
export async function loadTable(request: LoadRequest): Promise<LoadReply> {
  const { path } = request;
  try {
    const stats = await stat(path, { bigint: true });
    // Opening a FIFO would block for ever, inside a system call that no abort reaches.
    if (!stats.isFile()) throw new EdgeError('EDGE_ERR_DB_UNREADABLE', `${path} is not a regular file`);
    const { db, warning } = await openTable(path, request.leftOver);
    try {
      const isOwn = ownEndpointTest(request.ownEndpoints);
      const { backends, problems, problemCount } = readBackends(db, path, isOwn, request.maxRows ?? MAX_ROWS);
      const image = { ...buildTableImage(backends, request.listeners, problems), problemCount };
      const main = idOf(stats);
      const wal = await walIdOf(path);
      const same = sameFile(main, idOf(await stat(path, { bigint: true })));
      return {
        kind: 'loaded',
        image,
        file: same ? { main, wal } : null,
        ...(warning === undefined ? {} : { warning }),
      };
    } finally {
      db.close();
    }
  } catch (error) {
    const { code, message } = databaseError(error, path);
    return { kind: 'failed', code, message };
  }
}

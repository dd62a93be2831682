// Runs in: thread
import { stat } from 'node:fs/promises';
import { buildTableImage } from '../../../domain/table-image.ts';
import { EdgeError } from '../../../errors.ts';
import { databaseError } from './failure.ts';
import { idOf, sameFile, walIdOf } from './file-id.ts';
import { LOAD_VERSION, type LoadReply, type LoadRequest, otherRelease } from './load-protocol.ts';
import { openTable } from './open.ts';
import { ownEndpointTest } from './own-endpoints.ts';
import { MAX_ROWS, readBackends } from './read.ts';

/** Loads the routing table. Never throws. */
export async function loadTable(request: LoadRequest): Promise<LoadReply> {
  const { path } = request;
  if (request.version !== LOAD_VERSION) return { kind: 'failed', ...otherRelease() };
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
        version: LOAD_VERSION,
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

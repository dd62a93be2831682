// Runs in: primary, thread, cli
import { isTableContent } from '../../../domain/is-table-content.ts';
import type { TableDelta } from '../../../domain/table-delta.ts';
import type { TableImage } from '../../../domain/table-image.ts';
import { EdgeError, type ErrorCode } from '../../../errors.ts';
import type { FileId } from './file-id.ts';
import type { LeftOverWal } from './left-over-wal.ts';
import type { OwnEndpoint } from './own-endpoints.ts';

/**
 * The version of what primary and loading thread say to each other, tables included: raised with every change that code of
 * another release would misread. A thread that had to be replaced runs what is on disk then, maybe of another release.
 */
export const LOAD_VERSION = 2;

/** What the primary asks of the loading thread. */
export interface LoadRequest {
  readonly version: number;
  /** A real path: no symbolic link. */
  readonly path: string;
  /** The content hash of the table that the primary has; `null`: none. */
  readonly have: string | null;
  readonly ownEndpoints: readonly OwnEndpoint[];
  readonly leftOver: LeftOverWal | null;
  /** Default MAX_ROWS. */
  readonly maxRows?: number;
}

/** What the loading thread answers. */
export type LoadReply =
  | {
      readonly kind: 'loaded';
      readonly version: number;
      readonly content: TableImage | TableDelta;
      /** The file that was read, and the WAL beside it; `null` when it was replaced during the load. */
      readonly file: { readonly main: FileId; readonly wal: FileId | null } | null;
      readonly warning?: string;
    }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** What a load across releases fails with. */
export function otherRelease(): { code: ErrorCode; message: string } {
  return {
    code: 'EDGE_ERR_PROTOCOL',
    message:
      'the code on disk that loads the routing database is of another release than this primary: restart the proxy',
  };
}

/** The reply of a thread that may run other code than ours. Throws EDGE_ERR_PROTOCOL for one that is not in our form, or says so. */
export function checkReply(value: unknown): LoadReply {
  const reply = value as Partial<LoadReply & { kind: 'loaded' }> & Partial<LoadReply & { kind: 'failed' }>;
  const inForm =
    reply?.kind === 'failed'
      ? typeof reply.code === 'string' && reply.code !== 'EDGE_ERR_PROTOCOL' && typeof reply.message === 'string'
      : reply?.kind === 'loaded' && reply.version === LOAD_VERSION && isTableContent(reply.content);
  if (inForm) return value as LoadReply;
  const { code, message } = otherRelease();
  throw new EdgeError(code, message);
}

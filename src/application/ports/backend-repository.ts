import type { TableDelta } from '../../domain/table-delta.ts';
import type { RowProblem, TableImage } from '../../domain/table-image.ts';

/** What one look at the routing database found. */
export type RoutingLook =
  /** nothing changed since the last look */
  | { readonly kind: 'unchanged' }
  /**
   * a readable table, as a whole or as a change of the one that the caller has; its `contentHash` tells whether it differs
   * from that. `warning`: something about the file that the operator should mend, although the table serves
   */
  | { readonly kind: 'loaded'; readonly content: TableImage | TableDelta; readonly warning?: string }
  /** missing, locked, not a database, no table, a missing column: `message` names the file and says what to do */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export interface LookOptions {
  /** The content hash of the table that the caller has; without it, what is loaded comes as a whole. */
  readonly have?: string | undefined;
  /** Load even when nothing changed. Default: false. */
  readonly force?: boolean;
}

/** Where the backends are read from. */
export interface BackendRepository {
  /**
   * Looks whether the database changed and, if it did, loads it. Never throws; a failure is told again on every look
   * until it is mended.
   */
  look(options?: LookOptions): Promise<RoutingLook>;
  close(): Promise<void>;
}

export type { RowProblem };

import type { RowProblem, TableImage } from '../../domain/table-image.ts';

/** What one look at the routing database found. */
export type RoutingLook =
  /** nothing changed since the last look */
  | { readonly kind: 'unchanged' }
  /**
   * a readable table; `image.contentHash` tells whether it differs from the one before. `warning`: something about the
   * file that the operator should mend, although the table serves
   */
  | { readonly kind: 'loaded'; readonly image: TableImage; readonly warning?: string }
  /** missing, locked, not a database, no table, a missing column: `message` names the file and says what to do */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** Where the backends are read from. */
export interface BackendRepository {
  /**
   * Looks whether the database changed and, if it did, loads it. Never throws; a failure is told again on every look
   * until it is mended. `force` loads even when nothing changed.
   */
  look(force?: boolean): Promise<RoutingLook>;
  close(): Promise<void>;
}

export type { RowProblem };

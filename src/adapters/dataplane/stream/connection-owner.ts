// Runs in: worker
import type { Conn, DataPlaneOptions } from '../../../application/ports/data-plane.ts';
import type { Events } from './client-preread.ts';
import type { DialDeadlines } from './dial-deadlines.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { LookAtWire } from './wire-watch.ts';

/** What a connection needs of the engine that holds it. */
export interface ConnectionOwner {
  readonly options: DataPlaneOptions;
  readonly buffers: ReadBuffers;
  readonly events: Events;
  readonly deadlines: Pick<DialDeadlines, 'add' | 'remove'>;
  /** `undefined`: nobody can ask the kernel. */
  readonly lookAtWire: LookAtWire | undefined;
  /** All descriptors of the connection are closed. */
  ended(conn: Conn): void;
}

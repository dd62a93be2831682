/**
 * Why a connection is over. Their places are their numbers, on the channel between primary and worker and in the native
 * engine (`enum close_reason` of its batch.h).
 */
export const CLOSE_REASONS = [
  /** both sides sent their end */
  'finished',
  /** the client reset the connection, or vanished; what it had finished before was delivered */
  'client_reset',
  /** the backend reset the connection, or vanished; what it had finished before was delivered */
  'backend_reset',
  /** no byte either way for the idle time */
  'idle_timeout',
  /** one side was done and the other stayed silent for the half-close time */
  'half_close_timeout',
  /** `close(conn)` was called: the drain deadline, or a stop */
  'drained',
  /** `reject(conn)` was called */
  'rejected',
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

/** How a connection that held a slot can end: a worker that dies takes its connections along, and gives no reason. */
export type SlotEnd = CloseReason | 'worker_died';

/**
 * What travels on Node's own IPC channel: listening sockets, which only it can carry, and the lifecycle. Messages of
 * others (pm2's agent sends some) have no `edgeproxy` and are passed over.
 */
export type WorkerLifecycle =
  /** It listens on every socket that it was sent. */
  | { readonly edgeproxy: 'accepting' }
  /** It was asked by a signal to go. */
  | { readonly edgeproxy: 'retire' }
  /** It is about to exit, and why. */
  | { readonly edgeproxy: 'failed'; readonly reason: string };

export type PrimaryLifecycle =
  /** Carries the socket of listener number `listener`; `last`: there is no further one. */
  { readonly edgeproxy: 'listen'; readonly listener: number; readonly last: boolean } | { readonly edgeproxy: 'drain' };

export function isLifecycleMessage(message: unknown): message is WorkerLifecycle {
  return isObject(message) && ['accepting', 'retire', 'failed'].includes(String(message.edgeproxy));
}

export function isPrimaryLifecycle(message: unknown): message is PrimaryLifecycle {
  return isObject(message) && ['listen', 'drain'].includes(String(message.edgeproxy));
}

function isObject(value: unknown): value is { edgeproxy?: unknown } {
  return typeof value === 'object' && value !== null;
}

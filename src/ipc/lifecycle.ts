/**
 * What travels on Node's own IPC channel: listening sockets, which only it can carry, and the lifecycle. Messages of
 * others (pm2's agent sends some) have no `edgeproxy` and are passed over.
 */
export type WorkerLifecycle =
  /** It is loaded, and asks for its configuration: what is sent before that may find nobody who listens. */
  | { readonly edgeproxy: 'loaded' }
  /** It listens on every socket that it was sent. */
  | { readonly edgeproxy: 'accepting' }
  /** It gave its listening sockets up for a while and needs them again. */
  | { readonly edgeproxy: 'reopen' }
  /** It was asked by a signal to go. */
  | { readonly edgeproxy: 'retire' }
  /** Its drain deadline came, and it reset so many connections. */
  | { readonly edgeproxy: 'reset'; readonly connections: number }
  /** It is about to exit, and why. */
  | { readonly edgeproxy: 'failed'; readonly reason: string }
  /** A record for the log. */
  | {
      readonly edgeproxy: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type PrimaryLifecycle =
  /** The answer to `loaded`; see `readWorkerConfig`. */
  | { readonly edgeproxy: 'config'; readonly version: unknown; readonly config: unknown }
  /** Carries the socket of listener number `listener`, and what it is (`readListenerSpec`); `last`: there is no further one. */
  | {
      readonly edgeproxy: 'listen';
      readonly listener: number;
      readonly version: unknown;
      readonly spec: unknown;
      readonly last: boolean;
    }
  | { readonly edgeproxy: 'drain' };

/** Messages without content. */
const PLAIN: ReadonlySet<unknown> = new Set(['loaded', 'accepting', 'reopen', 'retire']);

export function isLifecycleMessage(message: unknown): message is WorkerLifecycle {
  if (!isObject(message)) return false;
  if (PLAIN.has(message.edgeproxy)) return true;
  if (message.edgeproxy === 'failed') return typeof message.reason === 'string';
  if (message.edgeproxy === 'reset') return Number.isSafeInteger(message.connections);
  const level = (LOG_LEVELS as readonly unknown[]).includes(message.level);
  return message.edgeproxy === 'log' && level && typeof message.message === 'string' && isObject(message.fields);
}

export function isPrimaryLifecycle(message: unknown): message is PrimaryLifecycle {
  if (!isObject(message)) return false;
  if (message.edgeproxy === 'drain' || message.edgeproxy === 'config') return true;
  return message.edgeproxy === 'listen' && typeof message.listener === 'number';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

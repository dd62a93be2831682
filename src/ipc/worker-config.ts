/** Raised when a field comes to mean another thing. A new field needs no other version, and an old one may stay away. */
export const CONFIG_VERSION = 1;

/** The part of the configuration that workers serve by. Times in ms. */
export interface WorkerConfig {
  readonly engine: 'auto' | 'stream' | 'epoll';
  readonly connectTimeoutMs: number;
  /** Dials for one client, >= 1. */
  readonly connectAttempts: number;
  readonly idleTimeoutMs: number;
  readonly halfCloseTimeoutMs: number;
  readonly unackedTimeoutMs: number;
  /** A drain resets what is open then. */
  readonly shutdownTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  /** Client connections that one worker has descriptors for, >= 1. */
  readonly maxConnections: number;
}

type Check = (value: unknown) => boolean;

const atLeast =
  (least: number): Check =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) && value >= least;

const FIELDS: Readonly<Record<keyof WorkerConfig, Check>> = {
  engine: (value) => value === 'auto' || value === 'stream' || value === 'epoll',
  connectTimeoutMs: atLeast(1),
  connectAttempts: atLeast(1),
  idleTimeoutMs: atLeast(0),
  halfCloseTimeoutMs: atLeast(0),
  unackedTimeoutMs: atLeast(0),
  shutdownTimeoutMs: atLeast(0),
  heartbeatTimeoutMs: atLeast(1),
  maxConnections: atLeast(1),
};

const REMEDY = 'stop and start the proxy to change the version';

/**
 * What a primary, perhaps of an older release, sent: the fields that are known here, or why it is of no use. Others are
 * passed over.
 */
export function readWorkerConfig(version: unknown, given: unknown): WorkerConfig | string {
  if (version !== CONFIG_VERSION)
    return `the primary's configuration is of version ${JSON.stringify(version)}, and this worker's of ${CONFIG_VERSION}: ${REMEDY}`;
  const fields = (typeof given === 'object' && given !== null ? given : {}) as Readonly<Record<string, unknown>>;
  const wrong = Object.entries(FIELDS).flatMap(([name, check]) => (check(fields[name]) ? [] : [name]));
  if (wrong.length > 0)
    return `the primary's configuration lacks what this worker needs (${wrong.join(', ')}): ${REMEDY}`;
  return Object.fromEntries(Object.keys(FIELDS).map((name) => [name, fields[name]])) as unknown as WorkerConfig;
}

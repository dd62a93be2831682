import type { RefusalReason } from '../domain/entities.ts';

/**
 * The words spoken on the private channel between primary and worker, as positional tuples in msgpack. The first element
 * says which word it is. What every connection costs (its first pick, the assignment, its ends) travels as the records of
 * records.ts, in the same order; these are for everything else.
 *
 * Raise PROTOCOL with every change of a tuple or a record: during a roll, workers of the new code meet a primary of the old
 * one.
 */
export const PROTOCOL = 5;

/** Worker -> primary. */
export const FromWorker = {
  hello: 1,
  heartbeat: 2,
  pickAgain: 3,
  connectFailed: 4,
  abandoned: 5,
  unserved: 6,
  synced: 7,
} as const;

/** Primary -> worker. */
export const FromPrimary = {
  welcome: 1,
  denied: 2,
  heartbeat: 3,
  backend: 4,
  waits: 5,
  refused: 6,
  cap: 7,
  sync: 8,
} as const;

/** The first message of a worker; nothing else is heard before it. */
export type HelloMessage = [kind: typeof FromWorker.hello, protocol: number, incarnation: number];
/** Sent at an interval by both sides; a side that hears none for its deadline gives the other up. */
export type WorkerHeartbeat = [kind: typeof FromWorker.heartbeat];
/** A dial that failed: see `FailedDial`. */
export type DialTuple = readonly [backend: string, code: string, ms: number, ours: boolean];
/** The next pick of a client whose dials failed. */
export type PickAgainMessage = [
  kind: typeof FromWorker.pickAgain,
  seq: number,
  listener: number,
  /** 4 bytes or 16. */
  address: Uint8Array,
  tried: readonly DialTuple[],
];
export type ConnectFailedMessage = [
  kind: typeof FromWorker.connectFailed,
  seq: number,
  code: string,
  ms: number,
  ours: boolean,
  /** The slot is kept: the same backend is dialled again. */
  again: boolean,
];
/** The assignment of `seq` came when nobody waited for it any more. */
export type AbandonedMessage = [kind: typeof FromWorker.abandoned, seq: number];
export type UnservedMessage = [
  kind: typeof FromWorker.unserved,
  /** Of its last pick; 0: it had none. */
  seq: number,
  listener: number,
  address: Uint8Array,
  reason: RefusalReason,
  totalMs: number,
  tried: readonly DialTuple[],
];

/** The answer to `sync`: all that the worker's sockets knew when it came was reported before this. */
export type SyncedMessage = [kind: typeof FromWorker.synced, round: number];

export type WorkerMessage =
  | HelloMessage
  | WorkerHeartbeat
  | PickAgainMessage
  | ConnectFailedMessage
  | AbandonedMessage
  | UnservedMessage
  | SyncedMessage;

export type WelcomeMessage = [kind: typeof FromPrimary.welcome, protocol: number];
/** The worker must exit; `reason` is for its operator. */
export type DeniedMessage = [kind: typeof FromPrimary.denied, reason: string];
export type PrimaryHeartbeat = [kind: typeof FromPrimary.heartbeat];
/** Assignments name the backend by this number from now on, until the number is told again. */
export type BackendMessage = [kind: typeof FromPrimary.backend, number: number, id: string, host: string, port: number];
/** The pick is not answered at once, and is to be waited for so long from now, in ms. */
export type WaitsMessage = [kind: typeof FromPrimary.waits, seq: number, ms: number];
export type RefusedMessage = [kind: typeof FromPrimary.refused, seq: number, reason: RefusalReason];

/** The connection cap: how many the worker may hold before it leaves further clients to the others; 0: as many as come. */
export type CapMessage = [kind: typeof FromPrimary.cap, connections: number];

/** The worker is to report all that its sockets have to tell, and then to say so. */
export type SyncMessage = [kind: typeof FromPrimary.sync, round: number];

export type PrimaryMessage =
  | WelcomeMessage
  | DeniedMessage
  | PrimaryHeartbeat
  | BackendMessage
  | WaitsMessage
  | RefusedMessage
  | CapMessage
  | SyncMessage;

import type { PickReason, RefusalReason } from '../domain/entities.ts';

/**
 * The words spoken on the private channel between primary and worker, as positional tuples: a batch of some hundred of
 * them is one msgpack array, and field names would be half of its bytes. The first element says which word it is.
 *
 * Raise PROTOCOL with every change of a tuple: during a roll, workers of the new code meet a primary of the old one.
 */
export const PROTOCOL = 4;

/** Worker -> primary. */
export const FromWorker = {
  hello: 1,
  heartbeat: 2,
  pick: 3,
  connected: 4,
  connectFailed: 5,
  closed: 6,
  abandoned: 7,
  unserved: 8,
  synced: 9,
} as const;

/** Primary -> worker. */
export const FromPrimary = {
  welcome: 1,
  denied: 2,
  heartbeat: 3,
  assigned: 4,
  refused: 5,
  cap: 6,
  sync: 7,
} as const;

/** The first message of a worker; nothing else is heard before it. */
export type HelloMessage = [kind: typeof FromWorker.hello, protocol: number, incarnation: number];
/** Sent at an interval by both sides; a side that hears none for its deadline gives the other up. */
export type WorkerHeartbeat = [kind: typeof FromWorker.heartbeat];
/** A dial that failed: see `FailedDial`. */
export type DialTuple = readonly [backend: string, code: string, ms: number, ours: boolean];
export type PickMessage = [
  kind: typeof FromWorker.pick,
  seq: number,
  listener: number,
  address: string,
  tried: readonly DialTuple[],
];
export type ConnectedMessage = [kind: typeof FromWorker.connected, seq: number, rttMs: number];
export type ConnectFailedMessage = [
  kind: typeof FromWorker.connectFailed,
  seq: number,
  code: string,
  ms: number,
  ours: boolean,
  /** The slot is kept: the same backend is dialled again. */
  again: boolean,
];
export type ClosedMessage = [
  kind: typeof FromWorker.closed,
  seq: number,
  /** Position in CLOSE_REASONS. */
  reason: number,
  bytesToBackend: number,
  bytesToClient: number,
  pickMs: number,
  connectMs: number,
  totalMs: number,
  attempts: number,
];
/** The assignment of `seq` came when nobody waited for it any more. */
export type AbandonedMessage = [kind: typeof FromWorker.abandoned, seq: number];
export type UnservedMessage = [
  kind: typeof FromWorker.unserved,
  /** Of its last pick; 0: it had none. */
  seq: number,
  listener: number,
  address: string,
  reason: RefusalReason,
  totalMs: number,
  tried: readonly DialTuple[],
];

/** The answer to `sync`: all that the worker's sockets knew when it came was reported before this. */
export type SyncedMessage = [kind: typeof FromWorker.synced, round: number];

export type WorkerMessage =
  | HelloMessage
  | WorkerHeartbeat
  | PickMessage
  | ConnectedMessage
  | ConnectFailedMessage
  | ClosedMessage
  | AbandonedMessage
  | UnservedMessage
  | SyncedMessage;

export type WelcomeMessage = [kind: typeof FromPrimary.welcome, protocol: number];
/** The worker must exit; `reason` is for its operator. */
export type DeniedMessage = [kind: typeof FromPrimary.denied, reason: string];
export type PrimaryHeartbeat = [kind: typeof FromPrimary.heartbeat];
export type AssignedMessage = [
  kind: typeof FromPrimary.assigned,
  seq: number,
  backendId: string,
  host: string,
  port: number,
  why: PickReason,
  /** Others may come to wait for this slot. */
  contended: boolean,
];
export type RefusedMessage = [kind: typeof FromPrimary.refused, seq: number, reason: RefusalReason];

/** The connection cap: how many the worker may hold before it leaves further clients to the others; 0: as many as come. */
export type CapMessage = [kind: typeof FromPrimary.cap, connections: number];

/** The worker is to report all that its sockets have to tell, and then to say so. */
export type SyncMessage = [kind: typeof FromPrimary.sync, round: number];

export type PrimaryMessage =
  | WelcomeMessage
  | DeniedMessage
  | PrimaryHeartbeat
  | AssignedMessage
  | RefusedMessage
  | CapMessage
  | SyncMessage;

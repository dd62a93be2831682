import type { FailedDial } from '../../domain/blame.ts';
import type { ClientAddress } from '../../domain/client-address.ts';
import type { PickReason, RefusalReason } from '../../domain/entities.ts';
import type { CloseReason, Endpoint } from './data-plane.ts';

/** A request for a backend. `seq` names the slot that it gets, in every later report. */
export interface PickRequest {
  /** Unique in the life of the worker. */
  readonly seq: number;
  /** Position in the configured listeners. */
  readonly listener: number;
  readonly address: ClientAddress;
  /** What was dialled for this connection before, in order. None of those backends is picked again. */
  readonly tried: readonly FailedDial[];
}

export type PickAnswer =
  | {
      readonly kind: 'assigned';
      readonly backendId: string;
      readonly endpoint: Endpoint;
      readonly why: PickReason;
      /** The backend is at half of its hard limit, or above: others may come to wait for this slot. */
      readonly contended: boolean;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** How a connection that had a slot ended. Times in ms, as in the access record. */
export interface ClosedReport {
  readonly reason: CloseReason;
  /** The backend had accepted, and `connected` was not called: this tells both. */
  readonly connected: boolean;
  readonly bytesToBackend: number;
  readonly bytesToClient: number;
  readonly pickMs: number;
  readonly connectMs: number;
  readonly totalMs: number;
  readonly attempts: number;
}

/** A client that was turned away. */
export interface UnservedReport {
  /** Of its last pick; 0: it had none. */
  readonly seq: number;
  readonly listener: number;
  readonly address: ClientAddress;
  readonly reason: RefusalReason;
  readonly totalMs: number;
  readonly tried: readonly FailedDial[];
}

/** Whoever asked for a backend. */
export interface Asker {
  answered(seq: number, answer: PickAnswer): void;
  /** The answer does not come at once: there is time to look whether the client stays. */
  waits?(seq: number): void;
}

/**
 * The worker's way to the primary's decisions and books. Every `pick` that is not cancelled ends in exactly one call of
 * `answered`: an assignment, or a refusal (which includes a timeout and a lost primary). What is asked and reported is sent
 * when `flush` is called, in the order of the calls.
 */
export interface BackendPicker {
  /** `asker` is never called before `pick` returned. */
  pick(request: PickRequest, asker: Asker): void;
  /**
   * The client is gone before the answer came: its asker is not answered any more. `unserved` is to follow, for this reason:
   * the pick may have been refused already, without a question to the primary.
   */
  cancel(seq: number): RefusalReason;
  /** The backend accepted. */
  connected(seq: number, rttMs: number): void;
  /** The dial failed: the slot is given back, unless the same backend is to be dialled `again`. */
  connectFailed(seq: number, failure: Omit<FailedDial, 'backend'>, again: boolean): void;
  /** The connection is over: the slot is given back. */
  closed(seq: number, report: ClosedReport): void;
  /** A client was turned away; it holds no slot. */
  unserved(report: UnservedReport): void;
  /** The answer to the primary's question: everything that the sockets knew when it came was reported before. */
  synced(round: number): void;
  /** Called at the end of each turn in which something was asked or reported. */
  flush(): void;
}

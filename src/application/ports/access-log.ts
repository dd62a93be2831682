import type { FailedDial } from '../../domain/blame.ts';
import type { ClientAddress } from '../../domain/client-address.ts';
import type { SlotEnd } from '../../domain/close-reasons.ts';
import type { PickReason, RefusalReason } from '../../domain/entities.ts';

/** One client connection, told when it is over. */
export interface AccessRecord {
  readonly client: ClientAddress;
  /** `null`: the GeoIP database does not say, or nobody asked it since the client was turned away first. */
  readonly country: string | null;
  readonly listener: string;
  /** `null`: turned away. */
  readonly backend: string | null;
  /** Why this backend, or why none. */
  readonly why: PickReason | RefusalReason;
  readonly close: SlotEnd | 'refused';
  /** Dials, the last one included. */
  readonly attempts: number;
  /** Waiting for the answers of picks, in ms. */
  readonly pickMs: number;
  /** From the last dial to the backend's accept, in ms. */
  readonly connectMs: number;
  /** From accept to close, in ms. */
  readonly totalMs: number;
  readonly bytesToBackend: number;
  readonly bytesToClient: number;
  /** Dials that failed. `undefined`: none did. */
  readonly tried?: readonly Omit<FailedDial, 'ours'>[] | undefined;
  /** Version of the routing table that the pick was made from. */
  readonly routingVersion: number;
}

export interface AccessLog {
  /** More waits to be written than should: whoever has many records at once waits with the next ones. */
  readonly isBehind: boolean;
  /** The record, with the address in it, is the caller's, and another one's after the call: it is copied or written at once. */
  write(record: AccessRecord): void;
}

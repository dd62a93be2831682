import type { PickReason, RefusalReason } from '../../domain/entities.ts';
import type { CloseReason } from './data-plane.ts';

/** One client connection, told when it is over. */
export interface AccessRecord {
  readonly client: string;
  /** `null`: the GeoIP database does not say, or nobody asked it since the client was turned away first. */
  readonly country: string | null;
  readonly listener: string;
  /** `null`: turned away. */
  readonly backend: string | null;
  /** Why this backend, or why none. */
  readonly why: PickReason | RefusalReason;
  readonly close: CloseReason | 'worker_died' | 'refused';
  /** Backends dialled, the last one included. */
  readonly attempts: number;
  /** From accept to the answer of the pick that served, in ms. */
  readonly pickMs: number;
  /** From the last dial to the backend's accept, in ms. */
  readonly connectMs: number;
  /** From accept to close, in ms. */
  readonly totalMs: number;
  readonly bytesToBackend: number;
  readonly bytesToClient: number;
  /** Version of the routing table that the pick was made from. */
  readonly routingVersion: number;
}

export interface AccessLog {
  write(record: AccessRecord): void;
}

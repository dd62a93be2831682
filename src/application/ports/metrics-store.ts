import type { SlotEnd } from '../../domain/close-reasons.ts';
import type { PickReason, RefusalReason } from '../../domain/entities.ts';

/** What happened, for whoever counts it. Called in the primary only; cheap, and never throws. */
export interface MetricsStore {
  /** A client came; whatever becomes of it, it is told once. */
  accepted(): void;
  /** A client was assigned a backend. Once an attempt. */
  picked(reason: PickReason): void;
  /** `rttSeconds`: from dial to accept. */
  connected(backendId: string, rttSeconds: number): void;
  /** A dial failed. `ours`: for a lack of this host's. */
  connectFailed(backendId: string, code: string, ours: boolean): void;
  /** A connection that had a backend ended. Bytes as relayed to the named side. */
  closed(reason: SlotEnd, bytesToBackend: number, bytesToClient: number): void;
  /** A client was turned away without a backend. */
  refused(reason: RefusalReason): void;
}

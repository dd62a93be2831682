// Runs in: worker
import type { FailedDial } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { RefusalReason } from '../domain/entities.ts';
import type { Asker, ClosedReport, PickAnswer } from './ports/backend-picker.ts';
import type { Conn, DataPlaneEvent } from './ports/data-plane.ts';

export type Closed = Extract<DataPlaneEvent, { type: 'closed' }>;
export type Assignment = Extract<PickAnswer, { kind: 'assigned' }>;

const nothing = () => {};

/** Whom the answers of a connection's picks go to. */
export interface Answered {
  answered(connection: Connection, seq: number, answer: PickAnswer): void;
  waits(connection: Connection): void;
}

/** What the worker knows of a connection between `accepted` and `closed`. */
export class Connection implements Asker {
  readonly #serve: Answered;
  readonly conn: Conn;
  readonly listener: number;
  /** The client's, as it is known now: the peer's, until a look at its first bytes finds whom it speaks for. */
  address: ClientAddress;
  /** Of its first bytes, these are not for the backend. */
  skip = 0;
  /** The slot that it holds; 0: none. */
  seq = 0;
  backendId = '';
  assigned: Assignment | null = null;
  /** The seq of its last pick; 0: there was none. */
  lastSeq = 0;
  tried: readonly FailedDial[] = NOBODY;
  /** When the pick that is under way was asked, and the dial that is begun. */
  askedAt = 0;
  dialledAt = 0;
  /** All its picks together. */
  pickMs = 0;
  connectMs = 0;
  /** The backend accepted, and nobody was told yet. */
  justConnected = false;
  /** Takes back a dial that is to come. */
  cancel = nothing;
  /** Why it is being turned away. */
  refused: RefusalReason | null = null;

  constructor(serve: Answered, conn: Conn, listener: number, address: ClientAddress) {
    this.#serve = serve;
    this.conn = conn;
    this.listener = listener;
    this.address = address;
  }

  answered(seq: number, answer: PickAnswer): void {
    this.#serve.answered(this, seq, answer);
  }

  waits(): void {
    this.#serve.waits(this);
  }
}

const NOBODY: readonly FailedDial[] = [];

export function closedReport({ pickMs, connectMs, justConnected, tried }: Connection, event: Closed): ClosedReport {
  const { reason, bytesToBackend, bytesToClient, durationMs } = event;
  const attempts = tried.length + 1;
  const times = {
    pickMs: toMicroseconds(pickMs),
    connectMs: toMicroseconds(connectMs),
    totalMs: toMicroseconds(durationMs),
  };
  return { reason, connected: justConnected, bytesToBackend, bytesToClient, ...times, attempts };
}

/** The clock's further digits say nothing, and travel and are logged with every connection. In ms. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

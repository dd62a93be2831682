// Runs in: primary
import type { FailedDial } from '../domain/blame.ts';
import { ClientAddress } from '../domain/client-address.ts';
import type { SlotEnd } from '../domain/close-reasons.ts';
import type { Lease } from '../domain/connection-ledger.ts';
import { countryOf } from '../domain/countries.ts';
import type { Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import type { ConnectionColumns } from './connection-columns.ts';
import type { AccessLog, AccessRecord } from './ports/access-log.ts';
import type { ClosedReport } from './ports/backend-picker.ts';
import type { RefusedClient } from './refused-clients.ts';

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** What a connection's end tells, but for why it ended. */
export type Outcome = Omit<ClosedReport, 'reason' | 'connected'>;

/** The one object that all records are written as: filled, and given to the log, which keeps nothing of it, in one step. */
class ReusedRecord implements AccessRecord {
  client = new ClientAddress(4, 0);
  country: string | null = null;
  listener = '';
  backend: string | null = null;
  why: PickReason | RefusalReason = 'picked';
  close: SlotEnd | 'refused' = 'refused';
  attempts = 0;
  pickMs = 0;
  connectMs = 0;
  totalMs = 0;
  bytesToBackend = 0;
  bytesToClient = 0;
  tried: AccessRecord['tried'];
  routingVersion = 0;
}

/** Writes the records of connections that are over, and of clients that were turned away. */
export class AccessRecords {
  readonly #log: AccessLog;
  readonly #listeners: readonly Listener[];
  readonly #columns: ConnectionColumns;
  readonly #record = new ReusedRecord();
  /** Of a connection, read from its columns. */
  readonly #address: Writable<ClientAddress> = new ClientAddress(4, 0);

  constructor(log: AccessLog, listeners: readonly Listener[], columns: ConnectionColumns) {
    this.#log = log;
    this.#listeners = listeners;
    this.#columns = columns;
  }

  closed(lease: Lease, close: SlotEnd, outcome: Outcome): void {
    const record = this.#record;
    const columns = this.#columns;
    columns.readAddress(lease, this.#address);
    record.client = this.#address;
    record.country = countryOf(columns.countryOf(lease));
    record.listener = this.#listeners[columns.listenerOf(lease)]!.name;
    record.backend = columns.backendOf(lease);
    record.why = columns.whyOf(lease);
    record.close = close;
    record.attempts = outcome.attempts;
    record.pickMs = outcome.pickMs;
    record.connectMs = outcome.connectMs;
    record.totalMs = outcome.totalMs;
    record.bytesToBackend = outcome.bytesToBackend;
    record.bytesToClient = outcome.bytesToClient;
    record.tried = toldDials(columns.triedOf(lease));
    record.routingVersion = columns.routingVersionOf(lease);
    this.#log.write(record);
  }

  refused(client: Omit<RefusedClient, 'at'>, country: string | null, totalMs: number, routingVersion: number): void {
    const { listener, address, reason, tried } = client;
    const record = this.#record;
    record.client = address;
    record.country = country;
    record.listener = listener.name;
    record.backend = null;
    record.why = reason;
    record.close = 'refused';
    record.attempts = tried.length;
    record.pickMs = 0;
    record.connectMs = 0;
    record.totalMs = totalMs;
    record.bytesToBackend = 0;
    record.bytesToClient = 0;
    record.tried = toldDials(tried);
    record.routingVersion = routingVersion;
    this.#log.write(record);
  }
}

/** Usual records do not grow by it. */
function toldDials(tried: readonly FailedDial[]): AccessRecord['tried'] {
  return tried.length === 0 ? undefined : tried.map(({ backend, code, ms }) => ({ backend, code, ms }));
}

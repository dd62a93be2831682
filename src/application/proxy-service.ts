// Runs in: primary
import type { FailedDial } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { SlotEnd } from '../domain/close-reasons.ts';
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import type { Listener } from '../domain/entities.ts';
import type { NumberMap } from '../domain/number-map.ts';
import { isGivenUp, wasNeverAsked } from '../domain/refusals.ts';
import { AccessRecords, type Outcome } from './access-records.ts';
import { Affinity } from './affinity.ts';
import { ConnectionColumns } from './connection-columns.ts';
import { type DecideInput, Decision, decideBackend, keepsBound, locate } from './decide-backend.ts';
import type { DialOutcomes } from './dial-outcomes.ts';
import type { AccessLog } from './ports/access-log.ts';
import type { ClosedReport, PickAnswer, PickRequest, UnservedReport } from './ports/backend-picker.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { MetricsStore } from './ports/metrics-store.ts';
import { type RefusedClient, RefusedClients } from './refused-clients.ts';

export interface ProxyServiceOptions extends Omit<DecideInput, 'movingTo'> {
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly metrics: MetricsStore;
  readonly accessLog: AccessLog;
  readonly boundary: Boundary;
  readonly outcomes: DialOutcomes;
  /** Does the first slice of a work now, and the others in turns to come. */
  readonly later: (work: Generator<void, void>) => void;
}

type Assigned = Extract<PickAnswer, { kind: 'assigned' }>;
type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Connections of a dead worker that are closed in one turn: some 5 us each. */
const CLOSED_A_TURN = 256;

/**
 * Resolves a backend for a client, and keeps the books of every connection. All of it is synchronous: there is no
 * moment between the check of a limit and the reservation at which anyone else could reserve.
 */
export class ProxyService {
  readonly #options: ProxyServiceOptions;
  readonly #input: DecideInput;
  readonly #ledger: ConnectionLedger;
  readonly #affinity: Affinity;
  /** Of the leases. */
  readonly #columns: ConnectionColumns;
  readonly #records: AccessRecords;
  readonly #refused = new RefusedClients();
  /** Of the client whose pick is being decided. */
  readonly #decision = new Decision();
  /** Read by the caller before the next pick. */
  readonly #assigned: Writable<Assigned> = {
    kind: 'assigned',
    backendId: '',
    endpoint: { host: '', port: 0 },
    why: 'picked',
    contended: false,
  };

  constructor(options: ProxyServiceOptions) {
    this.#options = options;
    const { routing, ledger, bindings, accessLog, listeners } = options;
    this.#affinity = new Affinity(bindings, (id, app) => keepsBound(routing.table.find(id), app));
    this.#columns = new ConnectionColumns(ledger.leases);
    this.#records = new AccessRecords(accessLog, listeners, this.#columns);
    this.#input = { ...options, movingTo: (binding) => this.#affinity.movingTo(binding) };
    this.#ledger = ledger;
  }

  /** Decides without acting: what a connection of `address` would get at `now`. To be read before the next one. */
  decide(listener: Listener, address: ClientAddress, tried: readonly FailedDial[], now: number): Decision {
    return decideBackend(this.#input, listener, address, tried, now, this.#decision);
  }

  /** From now on the worker may pick. */
  workerJoined(incarnation: number): void {
    this.#ledger.admit(incarnation);
    this.#refused.join(incarnation);
  }

  /**
   * The worker is gone: all slots that it held are free at once, for those who come back; bindings and records follow in
   * slices. Returns how many connections that cut.
   */
  workerLeft(incarnation: number): number {
    const leases = this.#ledger.releaseAll(incarnation);
    this.#options.later(this.#closeCut(leases, this.#refused.leave(incarnation)));
    return leases.size;
  }

  *#closeCut(leases: NumberMap<Lease>, refused: NumberMap<RefusedClient>): Generator<void, void> {
    const { clock } = this.#options;
    const diedAt = clock.now();
    let count = 0;
    for (const lease of leases.values()) {
      // Each for itself: the others give back and are recorded all the same.
      this.#options.boundary.run('client', () => {
        const totalMs = diedAt - this.#columns.pickedAt(lease);
        const attempts = this.#columns.triedOf(lease).length + 1;
        try {
          this.#recordClosed(lease, 'worker_died', { ...NOTHING_KNOWN, totalMs, attempts });
        } finally {
          // The client may have been here since.
          this.#forget(lease, clock.now());
        }
      });
      if (++count % CLOSED_A_TURN === 0) yield;
    }
    // The kernel closed their sockets with it, whatever it had still to say.
    for (const client of refused.values()) {
      this.#options.boundary.run('client', () => this.#recordRefused(client, diedAt - client.at, diedAt));
      if (++count % CLOSED_A_TURN === 0) yield;
    }
  }

  /** The worker is gone, or as good as gone, with a client that waited since a moment for its pick to be answered. */
  leftUnanswered(incarnation: number, request: PickRequest, since: number): void {
    const listener = this.#options.listeners[request.listener];
    if (listener === undefined) return;
    const { seq, address, tried } = request;
    this.#refused.keep(incarnation, seq, { listener, address, reason: 'worker_died', tried, at: since });
  }

  /** A client is there, or has come to its next attempt; `pick` tells it by itself. */
  came({ tried }: PickRequest): void {
    if (tried.length === 0) this.#options.metrics.accepted();
  }

  /**
   * `null`: the request is not one that this worker may make, and changed nothing. A `first` look may be `unsure`, and is
   * followed by a `last` one: a full backend stands in the way, whose slot may be free already, or (`othersWait`) the slot
   * is one that somebody may be waiting for. An answer is to be read before the next pick: it is the same object.
   */
  pick(incarnation: number, request: PickRequest, now: number): PickAnswer | null;
  pick(
    incarnation: number,
    request: PickRequest,
    now: number,
    look: 'only' | 'first' | 'last',
    othersWait: boolean,
  ): PickAnswer | null | 'unsure';
  pick(
    incarnation: number,
    request: PickRequest,
    now: number,
    look: 'only' | 'first' | 'last' = 'only',
    othersWait = false,
  ): PickAnswer | null | 'unsure' {
    const listener = this.#options.listeners[request.listener];
    if (listener === undefined || !this.#ledger.mayReserve(incarnation, request.seq)) return null;
    if (look !== 'last') this.came(request);
    const { address, tried } = request;
    const decision = this.decide(listener, address, tried, now);
    if (look === 'first' && isUnsure(decision, othersWait)) return 'unsure';
    const { backend, slot, why, reason } = decision;
    if (backend === null) {
      this.#refused.keep(incarnation, request.seq, { listener, address, reason, tried, at: now });
      return { kind: 'refused', reason };
    }
    const { id, hardLimit } = backend;
    const country = decision.client.geo?.country ?? null;
    const { version } = this.#options.routing.table;
    const lease = this.#ledger.reserve(incarnation, request.seq, slot);
    this.#columns.enter(lease, request.listener, address, country, id, why, version, now, tried);
    this.#columns.setBinding(lease, this.#affinity.take(lease, decision, id, tried, now));
    this.#options.metrics.picked(why);
    const assigned = this.#assigned;
    assigned.backendId = id;
    assigned.endpoint = backend;
    assigned.why = why;
    assigned.contended = 2 * this.#ledger.connections(slot) >= hardLimit && hardLimit > 0;
    return assigned;
  }

  /** The backend accepted. `false`, here and below: there is no such lease, or it was told before; nothing changed. */
  connected(incarnation: number, seq: number, rttMs: number, now: number): boolean {
    const lease = this.#ledger.find(incarnation, seq);
    if (lease === 0 || this.#columns.isConnected(lease)) return false;
    this.#accepted(lease, rttMs, now);
    return true;
  }

  #accepted(lease: Lease, rttMs: number, now: number): void {
    const columns = this.#columns;
    const backendId = columns.backendOf(lease);
    columns.setConnected(lease);
    this.#affinity.proved(lease, columns.bindingOf(lease), backendId, now);
    this.#options.metrics.connected(backendId, rttMs / 1000);
    this.#options.outcomes.succeeded(this.#listenerOf(lease), backendId);
  }

  #listenerOf(lease: Lease): string {
    return this.#options.listeners[this.#columns.listenerOf(lease)]!.name;
  }

  /** The dial failed: the slot is given back, and the worker may pick again; or it is kept, and the backend dialled `again`. */
  connectFailed(
    incarnation: number,
    seq: number,
    failure: Omit<FailedDial, 'backend'>,
    again: boolean,
    now: number,
  ): boolean {
    const lease = again ? this.#ledger.find(incarnation, seq) : this.#ledger.release(incarnation, seq);
    if (lease === 0) return false;
    const backendId = this.#columns.backendOf(lease);
    const listener = this.#listenerOf(lease);
    const { code, ours } = failure;
    if (again) this.#columns.addTried(lease, { backend: backendId, ...failure });
    else this.#forget(lease, now);
    this.#options.metrics.connectFailed(backendId, code, ours);
    this.#options.outcomes.failed(listener, backendId, code, ours, now);
    return true;
  }

  /** The connection is over. */
  closed(incarnation: number, seq: number, report: ClosedReport, now: number): boolean {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease === 0) return false;
    try {
      if (report.connected && !this.#columns.isConnected(lease)) this.#accepted(lease, report.connectMs, now);
      this.#recordClosed(lease, report.reason, report);
    } finally {
      this.#forget(lease, now);
    }
    return true;
  }

  /** The answer came after the worker had given the client up, or the client itself: the slot, if any, was never used. */
  abandoned(incarnation: number, seq: number, now: number): void {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease !== 0) this.#forget(lease, now);
  }

  /** Of a lease that is released, and told of: nothing is left but the binding, whose TTL may begin. */
  #forget(lease: Lease, now: number): void {
    try {
      this.#affinity.giveBack(lease, this.#columns.bindingOf(lease), now);
    } finally {
      this.#columns.forget(lease);
      this.#ledger.forget(lease);
    }
  }

  /** A client was turned away by the worker, on our refusal or its own. */
  unserved(incarnation: number, report: UnservedReport, now: number): boolean {
    const listener = this.#options.listeners[report.listener];
    if (listener === undefined) return false;
    this.#refused.forget(incarnation, report.seq);
    // Its answer may be on its way, and the worker gone before it arrives.
    if (isGivenUp(report.reason)) this.abandoned(incarnation, report.seq, now);
    if (report.tried.length === 0 && wasNeverAsked(report.reason)) this.#options.metrics.accepted();
    this.#recordRefused({ ...report, listener }, report.totalMs, now);
    return true;
  }

  #recordRefused(client: Omit<RefusedClient, 'at'>, totalMs: number, now: number): void {
    const { routing, geo, metrics, outcomes } = this.#options;
    metrics.refused(client.reason);
    outcomes.refused(client.reason, now);
    const country = locate(geo, client.address)?.country ?? null;
    this.#records.refused(client, country, totalMs, routing.table.version);
  }

  #recordClosed(lease: Lease, close: SlotEnd, outcome: Outcome): void {
    this.#options.metrics.closed(close, outcome.bytesToBackend, outcome.bytesToClient);
    this.#records.closed(lease, close, outcome);
  }
}

function isUnsure(decision: Decision, othersWait: boolean): boolean {
  return decision.passesFull || (othersWait && decision.backend !== null && decision.backend.hardLimit > 0);
}

/** What a worker that died can no longer tell. */
const NOTHING_KNOWN = { bytesToBackend: 0, bytesToClient: 0, pickMs: 0, connectMs: 0 };

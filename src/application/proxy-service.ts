// Runs in: primary
import type { FailedDial } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { SlotEnd } from '../domain/close-reasons.ts';
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import type { Listener, PickReason } from '../domain/entities.ts';
import type { NumberMap } from '../domain/number-map.ts';
import { isGivenUp, wasNeverAsked } from '../domain/refusals.ts';
import { Affinity, type Stake } from './affinity.ts';
import { type DecideInput, type Decision, decideBackend, keepsBound, locate } from './decide-backend.ts';
import type { DialOutcomes } from './dial-outcomes.ts';
import type { AccessLog, AccessRecord } from './ports/access-log.ts';
import type { ClosedReport, PickAnswer, PickRequest, UnservedReport } from './ports/backend-picker.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { MetricsStore } from './ports/metrics-store.ts';
import { type RefusedClient, RefusedClients } from './refused-clients.ts';

/** A slot, and what the access record will say of its connection. */
export interface ConnectionLease extends Lease {
  /** Its slot may be another's when the lease is over. */
  readonly backendId: string;
  readonly address: ClientAddress;
  readonly country: string | null;
  readonly listener: string;
  readonly why: PickReason;
  readonly routingVersion: number;
  /** On the primary's clock. */
  readonly pickedAt: number;
  readonly stake: Stake;
  /** Dials of its connection that failed. */
  readonly tried: FailedDial[];
  /** The backend accepted. */
  connected: boolean;
}

export interface ProxyServiceOptions extends Omit<DecideInput, 'movingTo' | 'ledger'> {
  readonly ledger: ConnectionLedger<ConnectionLease>;
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly metrics: MetricsStore;
  readonly accessLog: AccessLog;
  readonly boundary: Boundary;
  readonly outcomes: DialOutcomes;
  /** Does the first slice of a work now, and the others in turns to come. */
  readonly later: (work: Generator<void, void>) => void;
}

/** Connections of a dead worker that are closed in one turn: some 5 us each. */
const CLOSED_A_TURN = 256;

/**
 * Resolves a backend for a client, and keeps the books of every connection. All of it is synchronous: there is no
 * moment between the check of a limit and the reservation at which anyone else could reserve.
 */
export class ProxyService {
  readonly #options: ProxyServiceOptions;
  readonly #input: DecideInput;
  readonly #ledger: ConnectionLedger<ConnectionLease>;
  readonly #affinity: Affinity;
  readonly #refused = new RefusedClients();

  constructor(options: ProxyServiceOptions) {
    this.#options = options;
    this.#affinity = new Affinity(options.bindings);
    this.#input = { ...options, movingTo: (binding) => this.#affinity.movingTo(binding) };
    this.#ledger = options.ledger;
  }

  /** Decides without acting: what a connection of `address` would get at `now`. */
  decide(listener: Listener, address: ClientAddress, tried: readonly FailedDial[], now: number): Decision {
    return decideBackend(this.#input, listener, address, tried, now);
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

  *#closeCut(leases: NumberMap<ConnectionLease>, refused: NumberMap<RefusedClient>): Generator<void, void> {
    const { clock } = this.#options;
    const diedAt = clock.now();
    let count = 0;
    for (const lease of leases.values()) {
      // Each for itself: the others give back and are recorded all the same.
      this.#options.boundary.run('client', () => {
        // The client may have been here since.
        this.#affinity.giveBack(lease.stake, clock.now());
        this.#recordClosed(lease, 'worker_died', {
          ...NOTHING_KNOWN,
          totalMs: diedAt - lease.pickedAt,
          attempts: lease.tried.length + 1,
        });
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
   * is one that somebody may be waiting for.
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
    if (decision.kind === 'refuse') {
      const { reason } = decision;
      this.#refused.keep(incarnation, request.seq, { listener, address, reason, tried, at: now });
      return { kind: 'refused', reason };
    }
    const { backend, slot, why } = decision;
    const { table } = this.#options.routing;
    const isUp = (id: string) => keepsBound(table.find(id), listener.app);
    const stake = this.#affinity.take(decision, tried, isUp, now);
    this.#ledger.reserve(incarnation, request.seq, {
      slot,
      backendId: backend.id,
      address,
      country: decision.country,
      listener: listener.name,
      why,
      routingVersion: table.version,
      pickedAt: now,
      stake,
      tried: [...tried],
      connected: false,
    });
    this.#options.metrics.picked(why);
    const { id, host, port, hardLimit } = backend;
    const contended = 2 * this.#ledger.connections(slot) >= hardLimit && hardLimit > 0;
    return { kind: 'assigned', backendId: id, endpoint: { host, port }, why, contended };
  }

  /** The backend accepted. `false`, here and below: there is no such lease, or it was told before; nothing changed. */
  connected(incarnation: number, seq: number, rttMs: number, now: number): boolean {
    const lease = this.#ledger.find(incarnation, seq);
    if (lease === undefined || lease.connected) return false;
    this.#accepted(lease, rttMs, now);
    return true;
  }

  #accepted(lease: ConnectionLease, rttMs: number, now: number): void {
    lease.connected = true;
    this.#affinity.proved(lease.stake, lease.backendId, now);
    this.#options.metrics.connected(lease.backendId, rttMs / 1000);
    this.#options.outcomes.succeeded(lease.listener, lease.backendId);
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
    if (lease === undefined) return false;
    const { backendId, listener, stake, tried } = lease;
    const { code, ours } = failure;
    if (again) tried.push({ backend: backendId, ...failure });
    else this.#affinity.giveBack(stake, now);
    this.#options.metrics.connectFailed(backendId, code, ours);
    this.#options.outcomes.failed(listener, backendId, code, ours, now);
    return true;
  }

  /** The connection is over. */
  closed(incarnation: number, seq: number, report: ClosedReport, now: number): boolean {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease === undefined) return false;
    try {
      if (report.connected && !lease.connected) this.#accepted(lease, report.connectMs, now);
    } finally {
      this.#affinity.giveBack(lease.stake, now);
    }
    this.#recordClosed(lease, report.reason, report);
    return true;
  }

  /** The answer came after the worker had given the client up, or the client itself: the slot, if any, was never used. */
  abandoned(incarnation: number, seq: number, now: number): void {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease !== undefined) this.#affinity.giveBack(lease.stake, now);
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
    const { listener, address, reason, tried } = client;
    this.#options.metrics.refused(reason);
    this.#options.outcomes.refused(reason, now);
    this.#options.accessLog.write({
      client: address,
      country: locate(this.#options.geo, address)?.country ?? null,
      listener: listener.name,
      backend: null,
      why: reason,
      close: 'refused',
      attempts: tried.length,
      pickMs: 0,
      connectMs: 0,
      totalMs,
      bytesToBackend: 0,
      bytesToClient: 0,
      ...triedField(tried),
      routingVersion: this.#options.routing.table.version,
    });
  }

  #recordClosed(lease: ConnectionLease, close: SlotEnd, report: Omit<ClosedReport, 'reason' | 'connected'>): void {
    this.#options.metrics.closed(close, report.bytesToBackend, report.bytesToClient);
    this.#options.accessLog.write({
      client: lease.address,
      country: lease.country,
      listener: lease.listener,
      backend: lease.backendId,
      why: lease.why,
      close,
      attempts: report.attempts,
      pickMs: report.pickMs,
      connectMs: report.connectMs,
      totalMs: report.totalMs,
      bytesToBackend: report.bytesToBackend,
      bytesToClient: report.bytesToClient,
      ...triedField(lease.tried),
      routingVersion: lease.routingVersion,
    });
  }
}

/** Usual records do not grow by it. */
function triedField(tried: readonly FailedDial[]): Pick<AccessRecord, 'tried'> {
  return tried.length === 0 ? {} : { tried: tried.map(({ backend, code, ms }) => ({ backend, code, ms })) };
}

function isUnsure(decision: Decision, othersWait: boolean): boolean {
  return decision.passesFull || (othersWait && decision.kind === 'assign' && decision.backend.hardLimit > 0);
}

/** What a worker that died can no longer tell. */
const NOTHING_KNOWN = { bytesToBackend: 0, bytesToClient: 0, pickMs: 0, connectMs: 0 };

// Runs in: primary
import type { ConnectionLedger, Lease } from '../domain/connection-ledger.ts';
import type { ClientAddress, Listener, PickReason, RefusalReason } from '../domain/entities.ts';
import { type DecideInput, type Decision, decideBackend } from './decide-backend.ts';
import type { AccessLog } from './ports/access-log.ts';
import type { ClosedReport, PickAnswer, PickRequest, UnservedReport } from './ports/backend-picker.ts';
import type { BindingRef, BindingRepository } from './ports/binding-repository.ts';
import type { Clock } from './ports/clock.ts';
import type { MetricsStore } from './ports/metrics-store.ts';

/** A slot, and what the access record will say of its connection. */
export interface ConnectionLease extends Lease {
  readonly client: string;
  readonly country: string | null;
  readonly listener: string;
  readonly why: PickReason;
  readonly routingVersion: number;
  /** On the primary's clock. */
  readonly pickedAt: number;
  /** The client's binding, which lives at least as long as this lease; 0 when the table had no room for one. */
  readonly binding: BindingRef;
  /** The binding moves here once the backend accepts. */
  readonly movesBinding: boolean;
}

export interface ProxyServiceOptions extends Omit<DecideInput, 'movingTo' | 'ledger'> {
  readonly ledger: ConnectionLedger<ConnectionLease>;
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly metrics: MetricsStore;
  readonly accessLog: AccessLog;
}

/**
 * Resolves a backend for a client, and keeps the books of every connection. All of it is synchronous: there is no
 * moment between the check of a limit and the reservation at which anyone else could reserve.
 */
export class ProxyService {
  readonly #options: ProxyServiceOptions;
  readonly #input: DecideInput;
  readonly #ledger: ConnectionLedger<ConnectionLease>;
  readonly #bindings: BindingRepository;
  /** Bindings on their way to another backend, and how many leases carry them there. Bounded by the leases. */
  readonly #moves = new Map<BindingRef, { readonly backendId: string; leases: number }>();
  /** Bindings through which no connection came yet. Bounded by the leases. */
  readonly #unproven = new Set<BindingRef>();

  constructor(options: ProxyServiceOptions) {
    this.#options = options;
    this.#input = { ...options, movingTo: (binding) => this.#moves.get(binding)?.backendId ?? '' };
    this.#ledger = options.ledger;
    this.#bindings = options.bindings;
  }

  /** Decides without acting: what a connection of `address` would get at `now`. */
  decide(listener: Listener, address: ClientAddress, tried: readonly string[], now: number): Decision {
    return decideBackend(this.#input, listener, address, tried, now);
  }

  /** From now on the worker may pick. */
  workerJoined(incarnation: number): void {
    this.#ledger.admit(incarnation);
  }

  /** The worker is gone: everything that it held is given back at once. Returns how many connections that cut. */
  workerLeft(incarnation: number): number {
    const leases = this.#ledger.releaseAll(incarnation);
    const now = this.#options.clock.now();
    for (const lease of leases) {
      this.#settle(lease, now);
      this.#recordClosed(lease, 'worker_died', { ...NOTHING_KNOWN, totalMs: now - lease.pickedAt });
    }
    return leases.length;
  }

  /** `null`: the request is not one that this worker may make, and changed nothing. */
  pick(incarnation: number, request: PickRequest, address: ClientAddress): PickAnswer | null {
    const listener = this.#options.listeners[request.listener];
    if (listener === undefined || !this.#ledger.mayReserve(incarnation, request.seq)) return null;
    if (request.tried.length === 0) this.#options.metrics.accepted();
    const now = this.#options.clock.now();
    const decision = this.decide(listener, address, request.tried, now);
    if (decision.kind === 'refuse') return { kind: 'refused', reason: decision.reason };

    const { backend, why } = decision;
    const binding = this.#bindFor(decision, now);
    const movesBinding = why === 'retried' && binding !== 0 && this.#joinMove(binding, backend.id, request.tried);
    if (binding !== 0) this.#bindings.acquire(binding);
    this.#ledger.reserve(incarnation, request.seq, {
      backendId: backend.id,
      client: address.text,
      country: decision.country,
      listener: listener.name,
      why,
      routingVersion: this.#options.routing.table.version,
      pickedAt: now,
      binding,
      movesBinding,
    });
    this.#options.metrics.picked(why);
    return { kind: 'assigned', backendId: backend.id, endpoint: { host: backend.host, port: backend.port }, why };
  }

  /** The backend accepted: a binding that was moving has arrived. `false`, here and below: there is no such lease. */
  connected(incarnation: number, seq: number, rttMs: number): boolean {
    const lease = this.#ledger.find(incarnation, seq);
    if (lease === undefined) return false;
    this.#unproven.delete(lease.binding);
    if (lease.movesBinding) this.#bindings.move(lease.binding, lease.backendId);
    this.#options.metrics.connected(lease.backendId, rttMs / 1000);
    return true;
  }

  /** The dial failed: the slot is given back, and the worker may pick again. */
  connectFailed(incarnation: number, seq: number): boolean {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease === undefined) return false;
    this.#settle(lease, this.#options.clock.now());
    this.#options.metrics.connectFailed(lease.backendId);
    return true;
  }

  /** The connection is over. */
  closed(incarnation: number, seq: number, report: ClosedReport): boolean {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease === undefined) return false;
    this.#settle(lease, this.#options.clock.now());
    this.#recordClosed(lease, report.reason, report);
    return true;
  }

  /** The answer came after the worker had given the client up: the slot was never used. */
  abandoned(incarnation: number, seq: number): boolean {
    const lease = this.#ledger.release(incarnation, seq);
    if (lease === undefined) return false;
    this.#settle(lease, this.#options.clock.now());
    return true;
  }

  /** A client was turned away by the worker, on our refusal or its own. */
  unserved(report: UnservedReport, address: ClientAddress): boolean {
    const listener = this.#options.listeners[report.listener];
    if (listener === undefined) return false;
    if (NEVER_ASKED.has(report.reason)) this.#options.metrics.accepted();
    this.#options.metrics.refused(report.reason);
    this.#options.accessLog.write({
      client: address.text,
      country: null,
      listener: listener.name,
      backend: null,
      why: report.reason,
      close: 'refused',
      attempts: report.attempts,
      pickMs: 0,
      connectMs: 0,
      totalMs: report.totalMs,
      bytesToBackend: 0,
      bytesToClient: 0,
      routingVersion: this.#options.routing.table.version,
    });
    return true;
  }

  /** The binding that the connection counts for, made or moved if the decision calls for it; 0 when the table is full. */
  #bindFor({ binding, key, ...decision }: Extract<Decision, { kind: 'assign' }>, now: number): BindingRef {
    if (binding === 0) {
      const made = this.#bindings.bind(key, decision.backend.id, now);
      if (made !== 0) this.#unproven.add(made);
      return made;
    }
    // Its backend is gone, so there is nothing to keep: the client's next connection must agree with this one already.
    if (decision.why === 'rebound') this.#bindings.move(binding, decision.backend.id);
    return binding;
  }

  /**
   * Whether this attempt, if it connects, moves the binding: only when the bound backend itself failed, and then all of
   * the client's connections move to the one backend that the first of them was given.
   */
  #joinMove(binding: BindingRef, backendId: string, tried: readonly string[]): boolean {
    if (!tried.includes(this.#bindings.backendOf(binding))) return false;
    const move = this.#moves.get(binding);
    if (move === undefined) this.#moves.set(binding, { backendId, leases: 1 });
    else if (move.backendId === backendId) move.leases++;
    else return false;
    return true;
  }

  /** What every release of a lease does to the client's binding. */
  #settle({ binding, movesBinding }: ConnectionLease, now: number): void {
    if (binding === 0) return;
    if (movesBinding) {
      const move = this.#moves.get(binding)!;
      if (--move.leases === 0) this.#moves.delete(binding);
    }
    this.#bindings.release(binding, now);
    // Nobody got through by it and nobody is trying: the binding would only send the client to a dead backend first.
    if (this.#unproven.has(binding) && this.#bindings.openConnections(binding) === 0) {
      this.#unproven.delete(binding);
      this.#bindings.remove(binding);
    }
  }

  #recordClosed(
    lease: ConnectionLease,
    close: ClosedReport['reason'] | 'worker_died',
    report: Omit<ClosedReport, 'reason'>,
  ): void {
    this.#options.metrics.closed(close, report.bytesToBackend, report.bytesToClient);
    this.#options.accessLog.write({
      client: lease.client,
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
      routingVersion: lease.routingVersion,
    });
  }
}

/** Refusals of clients for which the worker asked nobody, so that no pick told of them. */
const NEVER_ASKED: ReadonlySet<RefusalReason> = new Set(['primary_silent', 'too_many_picks', 'descriptor_limit']);

/** What a worker that died can no longer tell. */
const NOTHING_KNOWN = { bytesToBackend: 0, bytesToClient: 0, pickMs: 0, connectMs: 0, attempts: 1 };

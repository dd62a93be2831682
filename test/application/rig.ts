import { MemoryBindings } from '../../src/adapters/outbound/memory-bindings/memory-bindings.ts';
import { DialOutcomes } from '../../src/application/dial-outcomes.ts';
import { dialReasons } from '../../src/application/dial-reasons.ts';
import { InternalErrors } from '../../src/application/internal-errors.ts';
import { gather } from '../../src/application/modules.ts';
import { PickDesk, type SilentWorker } from '../../src/application/pick-desk.ts';
import type { AccessRecord } from '../../src/application/ports/access-log.ts';
import type { ClosedReport, PickAnswer, UnservedReport } from '../../src/application/ports/backend-picker.ts';
import type { MetricsStore } from '../../src/application/ports/metrics-store.ts';
import { ProxyService } from '../../src/application/proxy-service.ts';
import type { RoutingHealth } from '../../src/application/reload-routing.ts';
import { routingReasons } from '../../src/application/routing-reasons.ts';
import { RoutingState } from '../../src/application/routing-state.ts';
import { workerReasons } from '../../src/application/worker-reasons.ts';
import type { SupervisorHealth } from '../../src/application/worker-views.ts';
import type { FailedDial } from '../../src/domain/blame.ts';
import type { ClientAddress } from '../../src/domain/client-address.ts';
import { clientKey } from '../../src/domain/client-key.ts';
import { ConnectionLedger } from '../../src/domain/connection-ledger.ts';
import type { Backend, Listener } from '../../src/domain/entities.ts';
import { buildTableImage } from '../../src/domain/table-image.ts';
import type { RegionCode } from '../../src/domain/value-objects.ts';
import { parseAddress } from '../../src/ip-address.ts';
import { backend } from '../fixtures/routing-db.ts';
import { keepingLog } from '../fixtures/silent-log.ts';
import { tableGeo } from '../fixtures/table-geo.ts';

export const LISTENERS: readonly Listener[] = [
  { name: '127.0.0.1:8080', host: '127.0.0.1', port: 8080, app: '' },
  { name: '127.0.0.1:8081', host: '127.0.0.1', port: 8081, app: 'game' },
];

export const TTL_MS = 1000;

export interface RigOptions {
  readonly listeners?: readonly Listener[];
  readonly popRegion?: RegionCode;
  readonly maxBindings?: number;
  /** Of the pick desk. */
  readonly patienceMs?: number;
  /** Countries by network, as `tableGeo` takes them. */
  readonly countries?: Readonly<Record<string, string>>;
}

export const CLOSED: ClosedReport = {
  reason: 'finished',
  connected: false,
  bytesToBackend: 10,
  bytesToClient: 20,
  pickMs: 1,
  connectMs: 2,
  totalMs: 30,
  attempts: 1,
};

/** The primary's decisions and books, with a clock that stands still until the test moves it. Worker 1 has joined. */
export class Rig {
  now = 0;
  readonly metrics = new CountingMetrics();
  readonly records: (Omit<AccessRecord, 'client'> & { readonly client: string })[] = [];
  readonly ledger = new ConnectionLedger();
  readonly bindings: MemoryBindings;
  readonly routing: RoutingState;
  readonly listeners: readonly Listener[];
  readonly geo;
  readonly popRegion: RegionCode;
  readonly clock = { now: () => this.now };
  readonly log = keepingLog();
  readonly boundary = new InternalErrors(this.log, this.clock);
  readonly outcomes = new DialOutcomes({
    happened: (...lack) => void this.lacks.push(lack.join(' ')),
    turnedAway: (reason) => void this.lacks.push(reason),
  });
  readonly lacks: string[] = [];
  /** What the service leaves for turns to come; done at once, unless a test looks in between. */
  later = (work: Generator<void, void>): void => {
    for (const _ of work);
  };
  readonly service: ProxyService;
  readonly desk: PickDesk;

  constructor({
    listeners = LISTENERS,
    popRegion = 'eu',
    maxBindings = 10_000,
    countries = {},
    patienceMs = 600_000,
  }: RigOptions = {}) {
    this.listeners = listeners;
    this.routing = new RoutingState(this.ledger, listeners);
    this.popRegion = popRegion;
    this.bindings = new MemoryBindings({ ttlMs: TTL_MS, maxBindings });
    this.geo = tableGeo(countries);
    this.service = new ProxyService({
      ...this.decisions,
      listeners,
      metrics: this.metrics,
      accessLog: { isBehind: false, write: (record) => this.records.push({ ...record, client: record.client.text }) },
      boundary: this.boundary,
      outcomes: this.outcomes,
      later: (work) => this.later(work),
    });
    this.service.workerJoined(1);
    const heldBy = (incarnation: number) => this.ledger.heldBy(incarnation);
    const { service, boundary, clock } = this;
    this.desk = new PickDesk({ service, boundary, clock, heldBy, patienceMs });
  }

  get decisions() {
    const { routing, ledger, bindings, geo, popRegion, clock } = this;
    return { routing, ledger, bindings, geo, popRegion, clock };
  }

  /** Serves exactly these rows: row i that says nothing else is `backend-<i+1>`, in `eu`, up. */
  async serve(rows: readonly Partial<Backend>[]): Promise<void> {
    await this.install(rows);
  }

  /** Whether something changed. */
  async install(rows: readonly Partial<Backend>[]): Promise<boolean> {
    return (await this.routing.install(buildTableImage(rows.map(backend)))) !== null;
  }

  /** What the parts of a proxy over these books say of it. */
  modules(
    routing: RoutingHealth,
    workers: SupervisorHealth,
    { listeners = this.listeners, silent = [] as SilentWorker[], now = this.now } = {},
  ) {
    const reasons = () =>
      gather([
        routingReasons(this.routing, listeners, routing),
        dialReasons(this.outcomes, this.routing, listeners, now),
        workerReasons(workers, silent),
      ]);
    return { reasons };
  }

  pick(
    seq: number,
    client: string,
    {
      worker = 1,
      listener = 0,
      tried = [],
    }: { worker?: number; listener?: number; tried?: readonly (string | FailedDial)[] } = {},
  ): PickAnswer | null {
    const request = { seq, listener, address: address(client), tried: tried.map(refusedBy) };
    const answer = this.service.pick(worker, request, this.now);
    if (answer?.kind !== 'assigned') return answer;
    // The service gives its next answer in the same object.
    const { host, port } = answer.endpoint;
    return { ...answer, endpoint: { host, port } };
  }

  /** Like `pick`, as text: `b bound`, or the reason of a refusal. */
  got(...args: Parameters<Rig['pick']>): string {
    const answer = this.pick(...args);
    if (answer === null) return 'nothing';
    return answer.kind === 'assigned' ? `${answer.backendId} ${answer.why}` : answer.reason;
  }

  connected(seq: number, worker = 1): boolean {
    return this.service.connected(worker, seq, 1, this.now);
  }

  failed(seq: number, worker = 1): boolean {
    return this.service.connectFailed(worker, seq, REFUSED, false, this.now);
  }

  unserved(report: Partial<UnservedReport>, worker = 1): boolean {
    const whole = {
      seq: 0,
      listener: 0,
      address: address('10.0.0.1'),
      reason: 'all_full',
      totalMs: 1,
      tried: [],
      ...report,
    } as const;
    return this.service.unserved(worker, whole, this.now);
  }

  closed(seq: number, worker = 1): boolean {
    return this.service.closed(worker, seq, CLOSED, this.now);
  }

  /** Where the client's live binding points; `null` when it has none. */
  boundTo(client: string, app = ''): string | null {
    const ref = this.bindings.find(clientKey(app, address(client)), this.now);
    return ref === 0 ? null : this.bindings.backendOf(ref);
  }

  openConnections(client: string, app = ''): number {
    const ref = this.bindings.find(clientKey(app, address(client)), this.now);
    return ref === 0 ? 0 : this.bindings.openConnections(ref);
  }
}

/** A dial that a backend refused. */
const REFUSED = { code: 'ECONNREFUSED', ms: 1, ours: false } as const;

/** The failed dial that a text, a backend's id, stands for. */
export function refusedBy(dial: string | FailedDial): FailedDial {
  return typeof dial === 'string' ? { backend: dial, ...REFUSED } : dial;
}

export function address(text: string): ClientAddress {
  const parsed = parseAddress(text);
  if (parsed === null) throw new Error(`${text} is no address`);
  return parsed;
}

/** Counts what it is told, under the name of the method and its label. */
export class CountingMetrics implements MetricsStore {
  readonly counts: Record<string, number> = {};
  /** Of dials that came through. */
  readonly seconds: number[] = [];
  /** To backends and to clients, of each connection that is over. */
  readonly bytes: [toBackend: number, toClient: number][] = [];

  accepted(): void {
    this.#count('accepted');
  }
  picked(reason: string): void {
    this.#count(`picked ${reason}`);
  }
  connected(backendId: string, seconds: number): void {
    this.seconds.push(seconds);
    this.#count(`connected ${backendId}`);
  }
  connectFailed(backendId: string, code: string, ours: boolean): void {
    this.#count(ours ? `lacked ${code}` : `connectFailed ${backendId}`);
  }
  closed(reason: string, bytesToBackend: number, bytesToClient: number): void {
    this.bytes.push([bytesToBackend, bytesToClient]);
    this.#count(`closed ${reason}`);
  }
  refused(reason: string): void {
    this.#count(`refused ${reason}`);
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

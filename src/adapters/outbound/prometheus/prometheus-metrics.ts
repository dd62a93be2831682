// Runs in: primary
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { CloseReason } from '../../../application/ports/data-plane.ts';
import type { MetricsStore } from '../../../application/ports/metrics-store.ts';
import { type PickReason, REFUSAL_REASONS, type RefusalReason } from '../../../domain/entities.ts';
import { LabelledHistogram } from './labelled-histogram.ts';

/** What is read at each scrape rather than counted along the way. */
export interface Readings {
  /** Slots held, by backend. */
  readonly connections: () => ReadonlyMap<string, number>;
  /** Names end in what follows `edgeproxy_`; each a gauge without labels. */
  readonly gauges: () => Readonly<Record<GaugeName, number>>;
  /** Counts that others keep; each a counter without labels. */
  readonly counters: () => Readonly<Record<CounterName, number>>;
  /** Turns that a defect ended, by what they served. */
  readonly internalErrors: () => ReadonlyMap<string, number>;
  readonly workers: () => Readonly<Record<'starting' | 'serving' | 'draining', number>>;
}

const GAUGES = {
  connections_active: 'Slots of backends that are held now, connecting ones included',
  bindings: 'Client bindings in the table',
  routing_version: 'Version of the routing table that serves',
  routing_backends: 'Rows of the routing table that serves',
  routing_bad_rows: 'Rows that the last load skipped',
  routing_stale: '1 while the routing database cannot be loaded and the last good table serves',
  worker_crashes: 'Worker crashes in a row, each soon after its start',
} as const;
export type GaugeName = keyof typeof GAUGES;

const COUNTERS = {
  bindings_evicted_total: 'Bindings given up because the table was full',
  routing_loads_total: 'Loads of the routing database',
  routing_load_failures_total: 'Looks at the routing database that failed',
  log_dropped_total: 'Log lines that could not be written: a full disk, or a reader that stalls',
  channel_dropped_total: 'Messages from workers that were malformed or about nothing known',
} as const;
export type CounterName = keyof typeof COUNTERS;

/** Backends with series of their own; the rest share the label `other`, so that a scrape stays of bounded size. */
const MAX_BACKEND_LABELS = 1000;
const OTHER = 'other';

/** Loopback to the far side of the world. In seconds. */
const RTT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Counts along the way in plain numbers, some per connection, and hands them to prom-client only at a scrape. */
class Tally {
  readonly counts = new Map<string, number>();

  add(label: string, amount = 1): void {
    this.counts.set(label, (this.counts.get(label) ?? 0) + amount);
  }
}

export class PrometheusMetrics implements MetricsStore {
  readonly registry = new Registry();
  readonly #readings: Readings;
  #accepted = 0;
  #bytesToBackends = 0;
  #bytesToClients = 0;
  readonly #picks = new Tally();
  readonly #refusals = new Tally();
  readonly #closes = new Tally();
  readonly #backendConnects = new Tally();
  readonly #backendErrors = new Tally();
  readonly #rtts = new LabelledHistogram(
    'edgeproxy_backend_rtt_seconds',
    'Time from the dial to the backend accepting it',
    'backend',
    RTT_BUCKETS,
  );
  readonly #labels = new Set<string>();

  constructor(readings: Readings) {
    this.#readings = readings;
    this.#total('connections_total', 'Client connections accepted, refused ones included', () => this.#accepted);
    this.#total(
      'bytes_sent_total',
      'Bytes sent to clients; counted when a connection closes',
      () => this.#bytesToClients,
    );
    this.#total(
      'bytes_received_total',
      'Bytes from clients sent to backends; counted when a connection closes',
      () => this.#bytesToBackends,
    );
    this.#tally('picks_total', 'Backends assigned, by why; a retry is one of its own', 'reason', this.#picks);
    this.#tally('refused_total', 'Clients turned away, by why', 'reason', this.#refusals);
    this.#tally(
      'internal_errors_total',
      'Defects of ours that were caught, by what the turn served; the log has the stack',
      'turn',
      {
        get counts() {
          return readings.internalErrors();
        },
      },
    );
    this.#tally('closed_total', 'Connections that had a backend and ended, by how', 'reason', this.#closes);
    this.#tally('backend_connections_total', 'Connections that the backend accepted', 'backend', this.#backendConnects);
    this.#tally(
      'backend_errors_total',
      'Dials that the backend refused or let time out',
      'backend',
      this.#backendErrors,
    );
    this.#backendGauge();
    this.#workerGauge();
    for (const [name, help] of Object.entries(GAUGES)) this.#reading(name as GaugeName, help);
    for (const [name, help] of Object.entries(COUNTERS))
      this.#total(name, help, () => readings.counters()[name as CounterName]);
    this.#rtts.register(this.registry);
    collectDefaultMetrics({ register: this.registry, prefix: 'edgeproxy_primary_' });
  }

  accepted(): void {
    this.#accepted++;
  }

  picked(reason: PickReason): void {
    this.#picks.add(reason);
  }

  connected(backendId: string, rttSeconds: number): void {
    const backend = this.#label(backendId);
    this.#backendConnects.add(backend);
    this.#rtts.observe(backend, rttSeconds);
  }

  connectFailed(backendId: string): void {
    this.#backendErrors.add(this.#label(backendId));
  }

  closed(reason: CloseReason | 'worker_died', bytesToBackend: number, bytesToClient: number): void {
    this.#closes.add(reason);
    this.#bytesToBackends += bytesToBackend;
    this.#bytesToClients += bytesToClient;
  }

  refused(reason: RefusalReason): void {
    this.#refusals.add(reason);
  }

  /** Clients that came, refused ones included. */
  get acceptedTotal(): number {
    return this.#accepted;
  }

  /** Clients turned away, by every reason there is. */
  refusals(): Record<RefusalReason, number> {
    const counts = REFUSAL_REASONS.map((reason) => [reason, this.#refusals.counts.get(reason) ?? 0]);
    return Object.fromEntries(counts);
  }

  #label(backendId: string): string {
    if (this.#labels.has(backendId)) return backendId;
    if (this.#labels.size >= MAX_BACKEND_LABELS) return OTHER;
    this.#labels.add(backendId);
    return backendId;
  }

  #total(name: string, help: string, read: () => number): void {
    new Counter({
      name: `edgeproxy_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  #tally(name: string, help: string, label: string, tally: Readonly<{ counts: ReadonlyMap<string, number> }>): void {
    new Counter({
      name: `edgeproxy_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, count] of tally.counts) this.inc({ [label]: value }, count);
      },
    });
  }

  #reading(name: GaugeName, help: string): void {
    const readings = this.#readings;
    new Gauge({
      name: `edgeproxy_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(readings.gauges()[name]);
      },
    });
  }

  #backendGauge(): void {
    const readings = this.#readings;
    const label = (backendId: string) => this.#label(backendId);
    const seen = this.#labels;
    new Gauge({
      name: 'edgeproxy_backend_connections_active',
      help: 'Slots of the backend that are held now, connecting ones included',
      labelNames: ['backend'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const backend of seen) this.set({ backend }, 0);
        for (const [id, count] of readings.connections()) this.inc({ backend: label(id) }, count);
      },
    });
  }

  #workerGauge(): void {
    const readings = this.#readings;
    new Gauge({
      name: 'edgeproxy_workers',
      help: 'Worker processes, by state',
      labelNames: ['state'],
      registers: [this.registry],
      collect() {
        const { starting, serving, draining } = readings.workers();
        this.set({ state: 'starting' }, starting);
        this.set({ state: 'serving' }, serving);
        this.set({ state: 'draining' }, draining);
      },
    });
  }
}

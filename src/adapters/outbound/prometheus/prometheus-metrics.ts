// Runs in: primary
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Metric } from '../../../application/ports/metric.ts';
import type { MetricsStore } from '../../../application/ports/metrics-store.ts';
import { OUR_CODES } from '../../../domain/blame.ts';
import { CLOSE_REASONS, type SlotEnd } from '../../../domain/close-reasons.ts';
import { PICK_REASONS, type PickReason, REFUSAL_REASONS, type RefusalReason } from '../../../domain/entities.ts';
import { BackendSeries, type HeldConnections, type LabelledTable } from './backend-series.ts';
import { CONTENT_TYPE, heading, type Labels, sample } from './exposition.ts';

/** What is read at each scrape rather than counted along the way. */
export interface Readings {
  /** The table that serves. */
  readonly table: () => LabelledTable;
  /** Slots held, of those backends that hold any. */
  readonly connections: HeldConnections;
  /** Slots held, of all backends. */
  readonly active: () => number;
  /** Of the modules. */
  readonly metrics: () => Iterable<Metric>;
  readonly build: { readonly version: string; readonly node: string; readonly engine: string };
}

/** How a connection that had a backend can end. */
const ENDS: readonly SlotEnd[] = [...CLOSE_REASONS.filter((reason) => reason !== 'rejected'), 'worker_died'];

/** Of the library's: gauges that are named as counters are, and each the sum of another metric. */
const MISNAMED = ['active_resources_total', 'active_handles_total', 'active_requests_total'];
const PROCESS_PREFIX = 'edgeproxy_primary_';

/** Counts by a label. Whatever is known beforehand stands at 0 from the start: Prometheus then sees the first increment. */
class Tally {
  readonly counts: Map<string, number>;

  constructor(known: readonly string[]) {
    this.counts = new Map(known.map((label) => [label, 0]));
  }

  add(label: string): void {
    this.counts.set(label, (this.counts.get(label) ?? 0) + 1);
  }
}

/**
 * Counts along the way in plain numbers, some per connection, and makes the text of a scrape by itself: with a thousand
 * backends prom-client takes 40 ms for it, all in one turn. The metrics of the process are the library's.
 */
export class PrometheusMetrics implements MetricsStore {
  readonly #readings: Readings;
  readonly #process = new Registry();
  readonly #backends = new BackendSeries();
  readonly #picks = new Tally(PICK_REASONS);
  readonly #refusals = new Tally(REFUSAL_REASONS);
  readonly #lacks = new Tally(OUR_CODES);
  readonly #closes = new Tally(ENDS);
  #accepted = 0;
  #bytesToBackends = 0;
  #bytesToClients = 0;

  constructor(readings: Readings) {
    this.#readings = readings;
    collectDefaultMetrics({ register: this.#process, prefix: PROCESS_PREFIX });
    for (const name of MISNAMED) this.#process.removeSingleMetric(`${PROCESS_PREFIX}nodejs_${name}`);
  }

  accepted(): void {
    this.#accepted++;
  }

  picked(reason: PickReason): void {
    this.#picks.add(reason);
  }

  connected(backendId: string, rttSeconds: number): void {
    this.#backends.connected(backendId, rttSeconds);
  }

  connectFailed(backendId: string, code: string, ours: boolean): void {
    if (!ours) this.#backends.connectFailed(backendId, code);
    else if (OUR_CODES.includes(code)) this.#lacks.add(code);
  }

  closed(reason: SlotEnd, bytesToBackend: number, bytesToClient: number): void {
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
    return Object.fromEntries(this.#refusals.counts) as Record<RefusalReason, number>;
  }

  /** A scrape: `chunks` are made as they are read, in slices of a fraction of a millisecond. */
  async scrape(): Promise<{ readonly contentType: string; readonly chunks: Iterable<string> }> {
    const ofProcess = await this.#process.metrics();
    return { contentType: CONTENT_TYPE, chunks: this.#chunks(ofProcess) };
  }

  *#chunks(ofProcess: string): Generator<string> {
    const { table, connections, active } = this.#readings;
    yield this.#totals();
    yield* this.#backends.chunks(table(), connections, active());
    yield `${ofProcess}\n`;
  }

  /** Everything but what is told by backend. */
  #totals(): string {
    const { metrics, active, build } = this.#readings;
    return [
      family('build_info', 'gauge', 'Always 1; the labels say what runs', [[build, 1]]),
      single('connections_total', 'counter', 'Client connections accepted, refused ones included', this.#accepted),
      single(
        'bytes_sent_total',
        'counter',
        'Bytes sent to clients; counted when a connection closes',
        this.#bytesToClients,
      ),
      single(
        'bytes_received_total',
        'counter',
        'Bytes from clients sent to backends; counted when a connection closes',
        this.#bytesToBackends,
      ),
      single('connections_active', 'gauge', 'Slots of backends that are held now, connecting ones included', active()),
      tally('picks_total', 'Backends assigned, by why; a retry is one of its own', 'reason', this.#picks.counts),
      tally('refused_total', 'Clients turned away, by why', 'reason', this.#refusals.counts),
      tally('local_errors_total', 'Dials that failed for something that this host lacks', 'code', this.#lacks.counts),
      tally('closed_total', 'Connections that had a backend and ended, by how', 'reason', this.#closes.counts),
      ...[...metrics()].map(told),
    ].join('');
  }
}

function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: readonly (readonly [Labels, number])[],
): string {
  const full = `edgeproxy_${name}`;
  return heading(full, type, help) + samples.map(([labels, value]) => sample(full, labels, value)).join('');
}

function single(name: string, type: 'counter' | 'gauge', help: string, value: number): string {
  return family(name, type, help, [[{}, value]]);
}

function tally(name: string, help: string, label: string, counts: ReadonlyMap<string, number>): string {
  const samples = [...counts].map(([text, count]) => [{ [label]: text }, count] as const);
  return family(name, 'counter', help, samples);
}

function told({ name, type, help, read, label }: Metric): string {
  const value = read();
  if (value === null) return '';
  if (typeof value === 'number') return single(name, type, help, value);
  const samples = [...value].map(([text, count]) => [{ [label ?? '']: text }, count] as const);
  return family(name, type, help, samples);
}

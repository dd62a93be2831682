// Runs in: primary
import { escaped, heading } from './exposition.ts';

/** The routing table, as far as labels are made of it. */
export interface LabelledTable {
  readonly size: number;
  /** Of the rows' slots. */
  slotsBehind(): Iterable<number>;
  backend(slot: number): { readonly id: string };
  /** -1: there is no such backend. */
  slotOf(id: string): number;
}

/** The connections that are held now, as far as they are shown. */
export interface HeldConnections {
  connectionsOf(id: string): number;
  /** Of the backends that hold any. */
  counts(): Iterable<readonly [id: string, connections: number]>;
}

/** Backends with series of their own; the rest share the label `other`, so that a scrape stays of bounded size. */
export const MAX_BACKEND_LABELS = 1000;
/** Codes of failed dials with series of their own; there are some dozens of errnos, and few that a dial ends by. */
const MAX_CODES = 20;
const OTHER = 'other';
/** Those that say 0 before the first: a counter that begins with 1 hides its first increment from Prometheus. */
const USUAL_CODES = ['ECONNREFUSED', 'ETIMEDOUT'];

/** Loopback to the far side of the world. In seconds. */
const RTT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const CONNECTIONS = 'edgeproxy_backend_connections_total';
const ERRORS = 'edgeproxy_backend_errors_total';
const ACTIVE = 'edgeproxy_backend_connections_active';
const RTT = 'edgeproxy_backend_rtt_seconds';
const RTT_BUCKET_STARTS = [...RTT_BUCKETS, '+Inf'].map((le) => `${RTT}_bucket{le="${le}",backend="`);

/** Series that are written before the text is handed on: some 30 kB, a fraction of a millisecond. */
const CHUNK_SERIES = 25;

/** What is known of one backend, or of those that share a label. */
interface Series {
  /** As it stands between the quotes. */
  readonly label: string;
  connections: number;
  readonly errors: Map<string, number>;
  /** Connections by bucket, each counted in one; the last bucket has no bound. */
  readonly rtts: number[];
  rttSum: number;
  /** Until the next connection: most backends are idle most of the time, and theirs is most of the text. */
  rttText: string | null;
}

/**
 * The metrics by backend. A backend has a label from its first connection on (in a table that is small enough from when
 * it is there), and until its row is gone and its last connection ended: then its series disappear, which Prometheus
 * takes for the end of a counter, not for a drop. They are not added to those of `other`: that would look like a burst.
 */
export class BackendSeries {
  readonly #series = new Map<string, Series>();
  readonly #codes = new Set<string>(USUAL_CODES);

  connected(id: string, rttSeconds: number): void {
    const series = this.#of(id);
    series.connections++;
    let bucket = 0;
    while (bucket < RTT_BUCKETS.length && rttSeconds > RTT_BUCKETS[bucket]!) bucket++;
    series.rtts[bucket]!++;
    series.rttSum += rttSeconds;
    series.rttText = null;
  }

  /** `code`: of the system's error. */
  connectFailed(id: string, code: string): void {
    if (this.#codes.size < MAX_CODES) this.#codes.add(code);
    const label = this.#codes.has(code) ? code : OTHER;
    const { errors } = this.#of(id);
    errors.set(label, (errors.get(label) ?? 0) + 1);
  }

  /**
   * Their text, made as it is read; each metric's own chunk is of one moment.
   * @param connections held now, connecting ones included
   * @param total of all backends
   */
  *chunks(table: LabelledTable, connections: HeldConnections, total: number): Generator<string> {
    this.#freeLabels(table, connections);
    this.#giveLabels(table, connections);
    // Of this moment, for backends come and go between the chunks.
    const all = [...this.#series];
    yield this.#active(all, connections, total);
    const series = all.map(([, series]) => series);
    yield heading(CONNECTIONS, 'counter', 'Connections that the backend accepted');
    yield* inChunks(series, ({ label, connections }) => `${CONNECTIONS}{backend="${label}"} ${connections}\n`);
    yield heading(ERRORS, 'counter', 'Dials that failed, by the code of the error');
    yield* inChunks(series, errorsText);
    yield heading(RTT, 'histogram', 'Time from the dial to the backend accepting it');
    yield* inChunks(series, rttText);
  }

  #of(id: string): Series {
    const known = this.#series.get(id);
    if (known !== undefined) return known;
    const label = this.#isFull() ? OTHER : id;
    let series = this.#series.get(label);
    if (series === undefined) {
      const errors = new Map(USUAL_CODES.map((code) => [code, 0]));
      const rtts = new Array<number>(RTT_BUCKETS.length + 1).fill(0);
      series = { label: escaped(label), connections: 0, errors, rtts, rttSum: 0, rttText: null };
      this.#series.set(label, series);
    }
    return series;
  }

  #isFull(): boolean {
    return this.#series.size - (this.#series.has(OTHER) ? 1 : 0) >= MAX_BACKEND_LABELS;
  }

  #freeLabels(table: LabelledTable, connections: HeldConnections): void {
    for (const id of this.#series.keys()) {
      if (id !== OTHER && table.slotOf(id) < 0 && connections.connectionsOf(id) === 0) this.#series.delete(id);
    }
  }

  #giveLabels(table: LabelledTable, connections: HeldConnections): void {
    for (const [id] of connections.counts()) {
      if (this.#isFull()) return;
      this.#of(id);
    }
    // In a larger one those that nobody uses would take the labels of those that somebody does.
    if (table.size > MAX_BACKEND_LABELS) return;
    for (const slot of table.slotsBehind()) {
      if (this.#isFull()) return;
      this.#of(table.backend(slot).id);
    }
  }

  /** All in one step, so that they add up. */
  #active(all: readonly (readonly [string, Series])[], connections: HeldConnections, total: number) {
    let text = heading(ACTIVE, 'gauge', 'Slots of the backend that are held now, connecting ones included');
    let rest = total;
    for (const [id, { label }] of all) {
      if (id === OTHER) continue;
      const held = connections.connectionsOf(id);
      rest -= held;
      text += `${ACTIVE}{backend="${label}"} ${held}\n`;
    }
    return rest > 0 || this.#series.has(OTHER) ? `${text}${ACTIVE}{backend="${OTHER}"} ${rest}\n` : text;
  }
}

function* inChunks(all: readonly Series[], textOf: (series: Series) => string): Generator<string> {
  for (let at = 0; at < all.length; at += CHUNK_SERIES) {
    let text = '';
    for (const series of all.slice(at, at + CHUNK_SERIES)) text += textOf(series);
    yield text;
  }
}

function errorsText({ label, errors }: Series): string {
  let text = '';
  for (const [code, count] of errors) text += `${ERRORS}{backend="${label}",code="${escaped(code)}"} ${count}\n`;
  return text;
}

/** Buckets are told cumulatively, as the format has them. */
function rttText(series: Series): string {
  if (series.connections === 0) return '';
  if (series.rttText !== null) return series.rttText;
  const { label, rtts, rttSum } = series;
  let text = '';
  let count = 0;
  for (let bucket = 0; bucket < rtts.length; bucket++) {
    count += rtts[bucket]!;
    text += `${RTT_BUCKET_STARTS[bucket]}${label}"} ${count}\n`;
  }
  text += `${RTT}_sum{backend="${label}"} ${rttSum}\n${RTT}_count{backend="${label}"} ${count}\n`;
  series.rttText = text;
  return text;
}

// Runs in: primary
import type { Metric, Registry } from 'prom-client';

interface Series {
  /** Observations by bucket, each counted in one; the last bucket has no bound. */
  readonly counts: number[];
  sum: number;
}

/**
 * A histogram with one label, for what is observed with every connection: prom-client's own takes five times as long for
 * it, since it checks and hashes the label each time. At a scrape it reads as one of prom-client's.
 */
export class LabelledHistogram {
  readonly #name: string;
  readonly #help: string;
  readonly #label: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** `bounds`: upper ends of the buckets, ascending. */
  constructor(name: string, help: string, label: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#label = label;
    this.#bounds = bounds;
  }

  observe(label: string, value: number): void {
    let series = this.#series.get(label);
    if (series === undefined) {
      series = { counts: this.#bounds.map(() => 0).concat(0), sum: 0 };
      this.#series.set(label, series);
    }
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    series.counts[bucket]!++;
    series.sum += value;
  }

  /** A registry asks its metrics for no more than their name and, at a scrape, their values. */
  register(registry: Registry): void {
    const metric = { name: this.#name, get: async () => this.#read() };
    registry.registerMetric(metric as unknown as Metric);
  }

  #read() {
    const values = [...this.#series].flatMap(([label, series]) => this.#valuesOf({ [this.#label]: label }, series));
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values };
  }

  /** Buckets are told cumulatively, as the exposition format has them. */
  #valuesOf(labels: Record<string, string>, { counts, sum }: Series) {
    let count = 0;
    const buckets = counts.map((inBucket, i) => {
      count += inBucket;
      const le = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf';
      return { metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels, value: sum },
      { metricName: `${this.#name}_count`, labels, value: count },
    ];
  }
}

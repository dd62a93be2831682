/** What a module tells at each scrape, where `MetricsStore` counts along the way. */
export interface Metric {
  /** What follows `edgeproxy_`; a counter's ends in `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** A number; or several by the values of `label`; `null`: there is none now. */
  readonly read: () => number | null | ReadonlyMap<string, number>;
  readonly label?: string;
}

export function gauge(name: string, help: string, read: Metric['read'], label?: string): Metric {
  return { name, type: 'gauge', help, read, ...(label === undefined ? {} : { label }) };
}

export function counter(name: string, help: string, read: Metric['read'], label?: string): Metric {
  return { name, type: 'counter', help, read, ...(label === undefined ? {} : { label }) };
}

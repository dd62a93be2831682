import type { Engine } from './contestants.ts';

/** What an engine must reach, and what it aims at: ratios to HAProxy where there are any, else the value itself. */
export interface Target {
  readonly must?: number;
  readonly aim: number;
}

/** A contestant of ours, as far as targets go: `several` workers have other ones for some measures. */
export type Kind = Engine | 'several epoll';

export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly targets: Readonly<Partial<Record<Kind, Target>>>;
  /** Targets are of the value itself, and not of its ratio to HAProxy's. */
  readonly isAbsolute?: boolean;
}

const rate = (name: string, unit: string, targets: Measure['targets']): Measure => ({
  name,
  unit,
  better: 'more',
  targets,
});
const cost = (name: string, unit: string, targets: Measure['targets'] = {}): Measure => ({
  name,
  unit,
  better: 'less',
  targets,
});

/** Of the p99 of a new connection beside bulk streams; of their bytes at the same time. */
const BESIDE_8 = { epoll: { must: 1.5, aim: 1 } };
const BESIDE_64 = { epoll: { must: 2, aim: 1 } };
const MIXED = { epoll: { must: 1.2, aim: 1.5 } };

const BULK = { epoll: { must: 1.5, aim: 1.8 }, stream: { aim: 0.95 } };

/** Of the primary for a short connection; of a lone connection with many workers to that with one. */
const PRIMARY = { epoll: { must: 5, aim: 4 } };
const LONE = { epoll: { must: 1.3, aim: 1.1 } };

/** What is measured beside other proxies, in the order of the table. */
export const MEASURES = {
  short: rate('short connections', '/ CPU-s', {
    epoll: { must: 0.95, aim: 1.05 },
    'several epoll': { must: 0.85, aim: 0.95 },
    stream: { aim: 0.55 },
  }),
  keepAlive: rate('keep-alive requests', '/ CPU-s', { epoll: { must: 1.04, aim: 1.1 }, stream: { aim: 0.75 } }),
  bulk1: rate('bytes, 1 stream', 'GB / CPU-s', BULK),
  bulk8: rate('bytes, 8 streams', 'GB / CPU-s', BULK),
  primary: { ...cost('CPU of the primary, a short connection', 'us', PRIMARY), isAbsolute: true },
  lone: { ...cost('CPU of a lone connection, to that with 1 worker', '', LONE), isAbsolute: true },
  beside1P50: cost('new connection p50, beside 1 stream', 'ms'),
  beside1P99: cost('new connection p99, beside 1 stream', 'ms'),
  mixed1: rate('bytes, 1 stream beside new connections', 'GB / CPU-s', MIXED),
  beside8P50: cost('new connection p50, beside 8 streams', 'ms'),
  beside8P99: cost('new connection p99, beside 8 streams', 'ms', BESIDE_8),
  mixed8: rate('bytes, 8 streams beside new connections', 'GB / CPU-s', MIXED),
  beside64P50: cost('new connection p50, beside 64 streams', 'ms'),
  beside64P99: cost('new connection p99, beside 64 streams', 'ms', BESIDE_64),
  mixed64: rate('bytes, 64 streams beside new connections', 'GB / CPU-s', MIXED),
  memory: cost('memory of an idle connection', 'bytes', { epoll: { must: 1, aim: 0.5 } }),
  p50: cost('latency p50', 'us'),
  addedP50: cost('added latency p50', 'us', { epoll: { must: 1.1, aim: 1 } }),
  p99: cost('latency p99', 'us'),
  addedP99: cost('added latency p99', 'us', { epoll: { must: 1.2, aim: 1 } }),
} as const satisfies Record<string, Measure>;

/** `noise`: a cost that is not above 0 says that it was too small to be seen. */
export type Verdict = 'aim' | 'must' | 'missed' | 'noise' | '';

/** What `value` reaches of a target. */
export function verdict(value: number | null, target: Target | null, better: Measure['better']): Verdict {
  if (value === null || target === null) return '';
  if (value <= 0) return 'noise';
  const reaches = (bound: number) => (better === 'more' ? value >= bound : value <= bound);
  if (reaches(target.aim)) return 'aim';
  return target.must !== undefined && reaches(target.must) ? 'must' : 'missed';
}

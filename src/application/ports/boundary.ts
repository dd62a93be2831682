/** What one turn of the primary serves. Labels of a metric: few, and ours. */
export const TURNS = [
  /** one client's pick, or the report of its connection */
  'client',
  /** one worker's start, message, deadline or exit */
  'worker',
  /** one signal, or pm2's message */
  'signal',
  /** one look at the routing database */
  'routing',
  /** one look at the GeoIP database */
  'geoip',
  /** one sweep of expired bindings */
  'bindings',
  /** one request of the admin API */
  'admin',
  /** whatever reached the process itself: a callback of a library's */
  'unexpected',
] as const;

export type Turn = (typeof TURNS)[number];

/**
 * Around each turn of the primary that serves one client, worker, timer, signal or file: what is thrown there is a defect
 * of that turn, and ends nothing else. It is told, counted, and over; whoever calls decides what is tried again.
 */
export interface Boundary {
  /** Does `work` now; `undefined` when it threw. */
  run<T>(turn: Turn, work: () => T): T | undefined;
  /** `work` as a callback that never throws; a promise that it returns may reject, too. */
  guard<Arguments extends unknown[]>(turn: Turn, work: (...given: Arguments) => unknown): (...given: Arguments) => void;
  /** Tells and counts what somebody caught. Never throws. */
  failed(turn: Turn, error: unknown): void;
}

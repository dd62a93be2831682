/** Workers at most: beyond what a host has cores for, each one more only costs memory. */
export const MAX_WORKERS = 256;

/** The number of workers that comes nearest to `count`. */
export function nearestWorkerCount(count: number): number {
  return Math.max(1, Math.min(MAX_WORKERS, count));
}

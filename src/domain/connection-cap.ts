/** Connections above the mean that a worker may always hold: among a few, evenness is worth no waiting. */
const SLACK = 48;

/**
 * How many connections one of `workers` workers may hold while all of them hold `held`, before it leaves further clients to
 * the others: an eighth above the mean. 0: as many as come, for there are no others.
 */
export function connectionCap(held: number, workers: number): number {
  if (workers < 2) return 0;
  const mean = held / workers;
  return Math.ceil(mean + Math.max(SLACK, mean / 8));
}

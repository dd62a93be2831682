export interface Summary {
  readonly median: number;
  /** Least and greatest. */
  readonly spread: readonly [number, number];
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function summary(numbers: readonly number[]): Summary {
  return { median: median(numbers), spread: [Math.min(...numbers), Math.max(...numbers)] };
}

/** The least of `sorted` that the fraction `p` of them does not exceed (nearest rank). */
export function percentile(sorted: Float64Array, p: number): number {
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * `mine` to `theirs`, round by round: what slowed the machine in one round slowed both. A round in which `theirs` is
 * not above 0 has no ratio (an added latency that is lost in noise).
 */
export function pairedRatios(mine: readonly number[], theirs: readonly number[]): number[] {
  return mine.flatMap((value, round) => {
    const other = theirs[round];
    return other !== undefined && other > 0 ? [value / other] : [];
  });
}

export interface BackoffPolicy {
  /** Delay after the first failure, in ms. */
  readonly firstMs: number;
  /** No delay is longer, in ms. */
  readonly capMs: number;
}

/** The delay before the next try after `failures` consecutive failures: 0, first, 2 first, 4 first, ... up to the cap. In ms. */
export function backoffMs(failures: number, { firstMs, capMs }: BackoffPolicy): number {
  return failures === 0 ? 0 : Math.min(capMs, firstMs * 2 ** (failures - 1));
}

/** Time, for everything that decides by it. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start; never jumps when the wall clock is set. */
  now(): number;
}

// Runs in: primary
import type { BindingRepository } from './ports/binding-repository.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';

/** Bindings freed before others may run: well below a millisecond. */
const SLICE = 1000;

/** Frees expired bindings every `intervalMs`, in slices that do not hold up the loop. Returns the way to stop it. */
export function sweepBindings(
  bindings: BindingRepository,
  clock: Clock,
  boundary: Boundary,
  intervalMs: number,
): () => void {
  let stopped = false;
  const slice = boundary.guard('bindings', () => {
    if (!stopped && bindings.sweep(clock.now(), SLICE) === SLICE) setImmediate(slice);
  });
  const timer = setInterval(slice, intervalMs).unref();
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

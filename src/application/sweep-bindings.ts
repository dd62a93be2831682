// Runs in: primary
import { every, type Periodic } from '../every.ts';
import type { BindingRepository } from './ports/binding-repository.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';

/** Bindings freed before others may run: well below a millisecond. */
const SLICE = 1000;

/** Frees expired bindings every `intervalMs`, in slices that do not hold up the loop. */
export function sweepBindings(
  bindings: BindingRepository,
  clock: Clock,
  boundary: Boundary,
  intervalMs: number,
): Periodic {
  let stopped = false;
  const sweep = async () => {
    while (!stopped && bindings.sweep(clock.now(), SLICE) === SLICE) await new Promise(setImmediate);
  };
  const sweeps = every(intervalMs, sweep, (error) => boundary.failed('bindings', error));
  return {
    stop: () => {
      stopped = true;
      return sweeps.stop();
    },
  };
}

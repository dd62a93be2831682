// Runs in: worker
import type { CloseReason, DataPlaneOptions } from '../../../application/ports/data-plane.ts';
import type { Side } from './side.ts';
import type { LookAtWire } from './wire-watch.ts';

/** How long nothing has moved in an open connection, and what follows from that. Times are in ms of `performance.now`. */
export class Silence {
  /** When bytes moved last, to the second, or an end came, and how much had moved then. */
  #since: number;
  #activity = 0;

  constructor(now: number) {
    this.#since = now;
  }

  lasted(now: number): number {
    return now - this.#since;
  }

  /** It starts anew. */
  restart(now: number): void {
    this.#since = now;
  }

  /** Whether our calls moved bytes since the last time that this was asked; it starts anew then. */
  isBroken(now: number, sides: readonly Side[]): boolean {
    const activity = sides.reduce((sum, { bytes, drains }) => sum + bytes + drains, 0);
    const broken = activity !== this.#activity;
    this.#activity = activity;
    if (broken) this.#since = now;
    return broken;
  }

  /** Bytes that were handed to the kernel long ago may be moving still. Returns a side whose peer is gone. */
  lookAtWire(now: number, sides: readonly Side[], look: LookAtWire, unackedTimeoutMs: number): Side | undefined {
    return sides.find((side) => {
      if (side.lost) return false;
      const alive = side.lookAtWire(now, look, unackedTimeoutMs);
      this.#since = Math.max(this.#since, side.acknowledgedAt);
      return !alive;
    });
  }

  /** Which timer ends the connection; `null`: none yet. */
  overdue(now: number, sides: readonly Side[], options: DataPlaneOptions): CloseReason | null {
    const { idleTimeoutMs, halfCloseTimeoutMs } = options;
    const lasted = this.lasted(now);
    if (halfCloseTimeoutMs > 0 && lasted >= halfCloseTimeoutMs && sides.some(({ ended }) => ended))
      return 'half_close_timeout';
    return idleTimeoutMs > 0 && lasted >= idleTimeoutMs ? 'idle_timeout' : null;
  }
}

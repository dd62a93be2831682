// Runs in: worker
import type { DataPlaneOptions } from '../../../application/ports/data-plane.ts';
import { codeOf } from '../../../errors.ts';
import type { Side } from './side.ts';

/**
 * So many bytes have most likely reached a peer that is alive when the kernel took them: they fit its window. Node cannot
 * ask what a peer has acknowledged.
 */
const WINDOW_BYTES = 64 * 1024;

/** Time for more than that, in ms, where no timeout is set. */
const DELIVERY_MS = 60_000;

/** A side is gone after it sent its end, and what it had finished goes to the other side. */
export class Delivery {
  readonly lost: Side;
  readonly #other: Side;
  /** Everything was with the other side, most likely, when this was checked last. */
  #done = false;

  constructor(lost: Side, other: Side) {
    this.lost = lost;
    this.#other = other;
    lost.lost = true;
  }

  /** Whether a side that failed had its peer's end before: Linux tells EPIPE of it then, and ECONNRESET otherwise. */
  static canFollow(failed: Side, error?: Error): boolean {
    return failed.ended || (process.platform === 'linux' && codeOf(error) === 'EPIPE');
  }

  /**
   * Once a second: the other side has got everything, and had time to end by itself; or its time is over, after so many ms
   * in which no byte moved.
   */
  isOver(silent: number, { halfCloseTimeoutMs, idleTimeoutMs }: DataPlaneOptions): boolean {
    const before = this.#done;
    this.#done = this.#other.socket.writableFinished && (this.lost.bytes <= WINDOW_BYTES || silent >= DELIVERY_MS);
    return (before && this.#done) || silent >= Math.min(halfCloseTimeoutMs || Infinity, idleTimeoutMs || Infinity);
  }
}

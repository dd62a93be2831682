// Runs in: worker
import { BulkTurns } from './bulk-turns.ts';

/** Bytes of the buffer that all sockets share; one read takes at most this. */
const SHARED_BYTES = 64 * 1024;

/**
 * Bytes of a buffer that one direction owns while it moves bulk. Measured: 256 KiB carries 1.4 to 1.9 times the bytes per
 * CPU-second of 64 KiB, because it takes fewer system calls and turns of the loop.
 */
const BULK_BYTES = 256 * 1024;

/** A read of at least this many bytes is bulk. */
export const BULK_READ = SHARED_BYTES / 2;

/** Free bulk buffers that are kept for the next direction: 8 MiB. Those beyond are left to the garbage collector. */
const MAX_FREE = 32;

/**
 * Where sockets read into. A read of the shared buffer has to be copied before the next socket reads, which is cheap for
 * messages; a direction that moves bulk owns a buffer instead, and writes from it without a copy. So an idle connection
 * costs no buffer, and a busy one at most one per direction.
 */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(SHARED_BYTES);
  /** When those that move bulk read on. */
  readonly turns = new BulkTurns();
  readonly #free: Buffer[] = [];

  acquire(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BULK_BYTES);
  }

  /** `buffer` is one that `acquire` returned, and nothing reads into it or writes from it any more. */
  release(buffer: Buffer): void {
    if (this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}

// Runs in: primary, worker
import type { Duplex } from 'node:stream';
import { type ByteLink, DuplexLink, type LinkHandlers } from '../../../ipc/byte-link.ts';
import type { Addon, NativeLink as Native } from './load-addon.ts';

/** Read at once, at most. */
const READ_BYTES = 64 << 10;

/** The cheapest link over `socket`, which is taken over; nothing was read from it. `null`: there is no native code. */
export function linkOver(socket: Duplex, addon: Addon | null): ByteLink {
  // Not documented, as a listening handle's is not.
  const fd = (socket as { _handle?: { fd?: unknown } | null })._handle?.fd;
  if (addon === null || typeof fd !== 'number' || fd < 0) return new DuplexLink(socket);
  const link = new NativeLink(addon, fd);
  // Node would read what is the link's.
  socket.destroy();
  return link;
}

/**
 * A link over a socket's descriptor, without a stream's objects: a frame of a lone connection is read and answered in a third
 * of the time that a stream takes for it.
 */
export class NativeLink implements ByteLink {
  readonly #native: Native;
  readonly #bytes: Buffer;
  #handlers: LinkHandlers | null = null;
  /** What the kernel did not take yet. */
  #waiting: Buffer[] = [];
  #unsent = 0;
  #isPaused = true;
  #isDestroyed = false;
  #ended: (() => void) | null = null;

  /** Duplicates the descriptor, of a stream socket that does not block. */
  constructor(addon: Addon, fd: number) {
    const buffer = new ArrayBuffer(READ_BYTES);
    this.#bytes = Buffer.from(buffer);
    this.#native = new addon.Link(fd, buffer);
    this.#native.onBytes = (count) => this.#onBytes(count);
    this.#native.onWritable = () => this.#onWritable();
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#isDestroyed) return;
    const taken = this.#unsent > 0 ? 0 : this.#native.send(bytes);
    // The peer is gone: its end comes by the reads, behind what it still said.
    if (taken < 0 || taken === bytes.length) return;
    const rest = Buffer.from(bytes.subarray(taken));
    this.#waiting.push(rest);
    this.#unsent += rest.length;
    this.#watch();
  }

  get unsent(): number {
    return this.#unsent;
  }

  pause(): void {
    this.#isPaused = true;
    this.#watch();
  }

  resume(): void {
    this.#isPaused = false;
    this.#watch();
  }

  end(then: () => void): void {
    this.#ended = then;
    if (this.#unsent === 0 || this.#isDestroyed) this.#end();
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#native.close();
    this.#forget();
    // Never within a call of the one who is told.
    setImmediate(() => this.#handlers?.onClose());
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  #onBytes(count: number): void {
    if (count > 0) this.#handlers?.onBytes(this.#bytes.subarray(0, count));
    else this.destroy();
  }

  #onWritable(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const taken = this.#native.send(first);
      if (taken < 0) {
        this.#forget();
        break;
      }
      this.#unsent -= taken;
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
    this.#watch();
    if (this.#ended !== null) this.#end();
  }

  /** Nobody is there to have it. */
  #forget(): void {
    this.#waiting = [];
    this.#unsent = 0;
    if (this.#ended !== null) this.#end();
  }

  #end(): void {
    const then = this.#ended!;
    this.#ended = null;
    if (!this.#isDestroyed) this.#native.end();
    queueMicrotask(then);
  }

  #watch(): void {
    if (!this.#isDestroyed) this.#native.watch(!this.#isPaused, this.#unsent > 0);
  }
}

import { type Duplex, finished } from 'node:stream';

export interface LinkHandlers {
  /** What came. The bytes are the link's again when this returns. */
  readonly onBytes: (bytes: Buffer) => void;
  /** Called once, after everything that came: the peer is gone, or the link was destroyed. */
  readonly onClose: () => void;
}

/** One end of the way for bytes between two processes, which closes by itself when either dies. */
export interface ByteLink {
  /** Reads from now on. Called once. */
  open(handlers: LinkHandlers): void;
  /** Sends `bytes`, which are the caller's again, behind those that wait. */
  write(bytes: Uint8Array): void;
  /** Bytes that wait for a peer which does not read. */
  readonly unsent: number;
  /** Nothing is read between these two. */
  pause(): void;
  resume(): void;
  /** Sends what waits and then our end; `then` runs once, when the kernel has it all or nobody is there to have it. */
  end(then: () => void): void;
  destroy(): void;
  readonly isDestroyed: boolean;
}

/** A link over a stream of Node's. */
export class DuplexLink implements ByteLink {
  readonly #socket: Duplex;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // A dead peer's EPIPE or ECONNRESET is its death, which `close` tells.
    socket.on('error', () => {});
  }

  open({ onBytes, onClose }: LinkHandlers): void {
    const socket = this.#socket;
    socket.on('data', onBytes);
    socket.on('end', () => socket.destroy());
    socket.once('close', () => {
      // What it had read while it was paused.
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) onBytes(chunk);
      onClose();
    });
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(Buffer.from(bytes));
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(then: () => void): void {
    // A socket that is closed already calls nobody back.
    if (this.#socket.destroyed) queueMicrotask(then);
    else finished(this.#socket.end(), { readable: false }, () => then());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed;
  }
}

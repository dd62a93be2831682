// Runs in: worker
import type net from 'node:net';
import type { Endpoint } from '../../../application/ports/data-plane.ts';
import type { DialDeadlines } from './dial-deadlines.ts';
import type { Side } from './side.ts';

/** One attempt to reach a backend, until it is connected or its socket is closed. */
export class Dial {
  readonly startedAt = performance.now();
  readonly #backend: Side;
  readonly #deadlines: Pick<DialDeadlines, 'add' | 'remove'>;
  #error = '';
  #refusedHere = false;

  constructor(
    backend: Side,
    { host, port }: Endpoint,
    deadlines: Pick<DialDeadlines, 'add' | 'remove'>,
    connected: (dial: Dial) => void,
  ) {
    const { socket } = backend;
    this.#backend = backend;
    this.#deadlines = deadlines;
    deadlines.add(this);
    socket.once('connect', () => {
      if (!isOwnPeer(socket, port)) {
        connected(this);
        return;
      }
      this.fail('ECONNREFUSED');
      // Without an end the port is free at once, for the backend that is to have it.
      socket.resetAndDestroy();
    });
    socket.connect({ autoSelectFamily: false, host, port });
    // Node dials in the next tick, and gives a socket up at once that the kernel does not let dial.
    process.nextTick(() => {
      this.#refusedHere = socket.destroyed;
    });
  }

  /** Why it failed. */
  get error(): string {
    return this.#error;
  }

  /** The kernel refused to dial, and nothing was sent. */
  get refusedHere(): boolean {
    return this.#refusedHere;
  }

  /** What comes first counts. */
  fail(code: string): void {
    this.#error ||= code;
  }

  /** Its time is over. */
  timedOut(): void {
    this.fail('ETIMEDOUT');
    this.#backend.socket.destroy();
  }

  /** It is decided. */
  stop(): void {
    this.#deadlines.remove(this);
  }
}

/**
 * With nobody listening on a port of the ephemeral range, a dial on the same host may get that port for its own, and TCP
 * connects it with itself. The dialled port is known: the kernel is asked for more than one end only where it is ours too.
 */
function isOwnPeer(socket: net.Socket, port: number): boolean {
  return socket.localPort === port && socket.localAddress === socket.remoteAddress;
}

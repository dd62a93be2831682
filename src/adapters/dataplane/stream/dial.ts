// Runs in: worker
import type net from 'node:net';
import type { Endpoint } from '../../../application/ports/data-plane.ts';
import type { Side } from './side.ts';
import type { TurnShare } from './turn-share.ts';

/** One attempt to reach a backend, until it is connected or its socket is closed. */
export class Dial {
  readonly startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #error = '';
  #stopped = false;
  #refusedHere = false;

  /** `timeouts`: what has come due takes its turn there, for thousands may run out of time together. */
  constructor(
    backend: Side,
    { host, port }: Endpoint,
    timeoutMs: number,
    timeouts: Pick<TurnShare, 'do'>,
    connected: (dial: Dial) => void,
  ) {
    const { socket } = backend;
    const timedOut = () => {
      // It ended while it waited for its turn.
      if (this.#stopped) return;
      this.fail('ETIMEDOUT');
      socket.destroy();
    };
    this.#timer = setTimeout(() => timeouts.do(timedOut), timeoutMs);
    socket.once('connect', () => {
      if (!isOwnPeer(socket)) {
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

  /** It is decided. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

/**
 * With nobody listening on a port of the ephemeral range, a dial on the same host may get that port for its own, and TCP
 * connects it with itself.
 */
function isOwnPeer({ localPort, remotePort, localAddress, remoteAddress }: net.Socket): boolean {
  return localPort === remotePort && localAddress === remoteAddress;
}

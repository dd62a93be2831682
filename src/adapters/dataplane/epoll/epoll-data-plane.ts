// Runs in: worker
import {
  type Conn,
  type DataPlane,
  type DataPlaneOptions,
  type Dial,
  type PrereadOptions,
  prereadProblem,
  type RejectHow,
} from '../../../application/ports/data-plane.ts';
import { codeOf, EdgeError, messageOf } from '../../../errors.ts';
import { descriptorOf, type ListeningHandle } from '../../../ipc/listening-socket.ts';
import { EventRecords } from './event-records.ts';
import type { Addon, NativeEngine } from './load-addon.ts';

/**
 * The data plane in C, for Linux: an epoll instance nested in this thread's loop. It holds at most 2^20 connections,
 * whatever `maxConnections` says.
 */
export class EpollDataPlane implements DataPlane<ListeningHandle> {
  readonly #native: NativeEngine;

  constructor(options: DataPlaneOptions, addon: Addon) {
    const { connectTimeoutMs, idleTimeoutMs, halfCloseTimeoutMs, unackedTimeoutMs, maxConnections, onEvents } = options;
    const native = new addon.Engine(
      connectTimeoutMs,
      idleTimeoutMs,
      halfCloseTimeoutMs,
      unackedTimeoutMs,
      maxConnections,
    );
    const records = new EventRecords((conn, isAnswer) => native.preread(conn, isAnswer));
    native.deliver = (count, buffer) => {
      const events = records.read(count, buffer);
      if (events.length > 0) onEvents(events);
    };
    this.#native = native;
  }

  get size(): number {
    return this.#native.size();
  }

  /**
   * Takes `handle` over: it is closed, as the engine watches a duplicate of its descriptor. Rejects with EDGE_ERR_LISTEN
   * when the kernel refuses to listen.
   */
  async listen(handle: ListeningHandle, listener: number, preread?: PrereadOptions): Promise<void> {
    const problem = preread === undefined ? '' : prereadProblem(preread);
    if (problem !== '') {
      handle.close();
      throw new EdgeError('EDGE_ERR_INTERNAL', problem);
    }
    try {
      this.#native.listen(descriptorOf(handle), listener, preread?.maxBytes ?? 0, preread?.timeoutMs ?? 0);
    } catch (cause) {
      const what = codeOf(cause) || messageOf(cause);
      throw new EdgeError('EDGE_ERR_LISTEN', `cannot accept on this socket: ${what}`, { cause });
    } finally {
      handle.close();
    }
  }

  stopAccepting(): void {
    this.#native.stopAccepting();
  }

  acceptBelow(connections: number): void {
    this.#native.acceptBelow(connections);
  }

  prereadMore(conn: Conn): void {
    this.#native.prereadMore(conn);
  }

  watchHangUp(conn: Conn): void {
    this.#native.watchHangUp(conn);
  }

  connect(conn: Conn, dial: Dial<ListeningHandle>): void {
    const { skip = 0, contended = false, prefix } = dial;
    if (dial.socket === undefined) {
      this.#native.connect(conn, dial.to.host, dial.to.port, -1, skip, contended, prefix);
      return;
    }
    // As with listening sockets: the engine has a duplicate.
    this.#native.connect(conn, '', 0, descriptorOf(dial.socket), skip, contended, prefix);
    dial.socket.close();
  }

  reject(conn: Conn, how: RejectHow): void {
    this.#native.reject(conn, how === 'reset');
  }

  close(conn: Conn): void {
    this.#native.close(conn);
  }

  settle(): void {
    this.#native.settle();
  }
}

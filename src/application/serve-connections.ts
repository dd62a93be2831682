// Runs in: worker
import type { RefusalReason } from '../domain/entities.ts';
import { NumberMap } from '../domain/number-map.ts';
import type { BackendPicker, ClosedReport, PickAnswer } from './ports/backend-picker.ts';
import type { Clock } from './ports/clock.ts';
import type { Conn, DataPlane, DataPlaneEvent } from './ports/data-plane.ts';

export interface ServeOptions {
  readonly picker: BackendPicker;
  readonly clock: Clock;
  /** Different backends tried for one client, >= 1. */
  readonly connectAttempts: number;
  /** Called when the last connection ended and is reported; also when there was none. */
  readonly onIdle: () => void;
}

type Closed = Extract<DataPlaneEvent, { type: 'closed' }>;

/** What the worker knows of a connection between `accepted` and `closed`. */
interface Connection {
  readonly listener: number;
  readonly address: string;
  readonly acceptedAt: number;
  /** The slot that it holds; 0: none. */
  seq: number;
  backendId: string;
  tried: readonly string[];
  pickMs: number;
  connectMs: number;
  /** Why it is being turned away. */
  refused: RefusalReason | null;
  /** It ended while its pick was under way: the answer will find nobody. */
  over: Closed | null;
}

/**
 * The life of each connection in a worker: accepted -> pick -> connect -> closed. Every way through ends in one report,
 * `closed` for a connection that held a slot and `unserved` for one that was turned away, so that slots and counts
 * cannot leak.
 */
export class ServeConnections {
  readonly #options: ServeOptions;
  readonly #dataPlane: DataPlane;
  readonly #connections = new NumberMap<Connection>();
  /** Rounds that the engine is settling for, in order. */
  readonly #syncs: number[] = [];
  #lastSeq = 0;
  /** Connections that are over while their pick is under way: what the answer calls for is still to be reported. */
  #unanswered = 0;

  /** `makeDataPlane` receives the handler of the engine's events. */
  constructor(
    options: ServeOptions,
    makeDataPlane: (onEvents: (events: readonly DataPlaneEvent[]) => void) => DataPlane,
  ) {
    this.#options = options;
    this.#dataPlane = makeDataPlane((events) => this.#onEvents(events));
  }

  get dataPlane(): DataPlane {
    return this.#dataPlane;
  }

  /**
   * Connections that are open, or over and not reported yet; those among them that the engine accepted in this turn and
   * has not told of: a worker that drains must not leave with them.
   */
  get size(): number {
    return Math.max(this.#connections.size, this.#dataPlane.size) + this.#unanswered;
  }

  /** Reports all that the sockets know, and then that it did. */
  sync(round: number): void {
    this.#syncs.push(round);
    this.#dataPlane.settle();
  }

  /** Resets every connection that is left. Returns how many. */
  cutAll(): number {
    const cut = this.#connections.entries();
    for (const [conn] of cut) this.#dataPlane.close(conn);
    return cut.length;
  }

  #onEvents(events: readonly DataPlaneEvent[]): void {
    for (const event of events) this.#onEvent(event);
    // One message a loop turn, however many connections it is about.
    this.#options.picker.flush();
    if (this.size === 0) this.#options.onIdle();
  }

  #onEvent(event: DataPlaneEvent): void {
    if (event.type === 'accepted') this.#accepted(event.conn, event.listener, event.address);
    else if (event.type === 'connected') this.#connected(event.conn, event.rttMs);
    else if (event.type === 'connectFailed') this.#connectFailed(event.conn, event.code);
    else if (event.type === 'closed') this.#closed(event);
    else if (event.type === 'settled') this.#options.picker.synced(this.#syncs.shift()!);
    else if (event.type === 'refused') this.#refusedByEngine(event.listener, event.address);
  }

  #refusedByEngine(listener: number, address: string): void {
    this.#options.picker.unserved({ listener, address, reason: 'descriptor_limit', totalMs: 0, attempts: 0 });
  }

  #accepted(conn: Conn, listener: number, address: string): void {
    const connection: Connection = {
      listener,
      address,
      acceptedAt: this.#options.clock.now(),
      seq: 0,
      backendId: '',
      tried: [],
      pickMs: 0,
      connectMs: 0,
      refused: null,
      over: null,
    };
    this.#connections.set(conn, connection);
    this.#pick(conn, connection);
  }

  #pick(conn: Conn, connection: Connection): void {
    const seq = ++this.#lastSeq;
    const { listener, address, tried } = connection;
    this.#options.picker.pick({ seq, listener, address, tried }, (answer) =>
      this.#answered(conn, connection, seq, answer),
    );
  }

  #answered(conn: Conn, connection: Connection, seq: number, answer: PickAnswer): void {
    if (connection.over !== null) {
      this.#reportLate(connection, connection.over, seq, answer);
    } else if (answer.kind === 'refused') {
      this.#refuse(conn, connection, answer.reason);
    } else {
      connection.seq = seq;
      connection.backendId = answer.backendId;
      connection.pickMs = this.#options.clock.now() - connection.acceptedAt;
      this.#dataPlane.connect(conn, answer.endpoint, 0, answer.contended);
    }
  }

  #connected(conn: Conn, rttMs: number): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined) return;
    connection.connectMs = rttMs;
    this.#options.picker.connected(connection.seq, rttMs);
  }

  #connectFailed(conn: Conn, code: string): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined) return;
    this.#options.picker.connectFailed(connection.seq, code);
    connection.seq = 0;
    connection.tried = [...connection.tried, connection.backendId];
    if (connection.tried.length < this.#options.connectAttempts) this.#pick(conn, connection);
    else this.#refuse(conn, connection, 'connect_failed');
  }

  #refuse(conn: Conn, connection: Connection, reason: RefusalReason): void {
    connection.refused = reason;
    this.#dataPlane.reject(conn, 'close');
  }

  #closed(event: Closed): void {
    const connection = this.#connections.delete(event.conn);
    if (connection === undefined) return;
    connection.over = event;
    if (connection.refused !== null) this.#reportUnserved(connection, event, connection.refused);
    else if (connection.seq !== 0) this.#options.picker.closed(connection.seq, closedReport(connection, event));
    else this.#unanswered++;
  }

  #reportLate(connection: Connection, event: Closed, seq: number, answer: PickAnswer): void {
    const { picker } = this.#options;
    if (answer.kind === 'refused') this.#reportUnserved(connection, event, answer.reason);
    else picker.closed(seq, closedReport(connection, event));
    picker.flush();
    this.#unanswered--;
    if (this.size === 0) this.#options.onIdle();
  }

  #reportUnserved({ listener, address, tried }: Connection, event: Closed, reason: RefusalReason): void {
    const totalMs = toMicroseconds(event.durationMs);
    this.#options.picker.unserved({ listener, address, reason, totalMs, attempts: tried.length });
  }
}

function closedReport({ pickMs, connectMs, tried }: Connection, event: Closed): ClosedReport {
  const { reason, bytesToBackend, bytesToClient, durationMs } = event;
  const attempts = tried.length + 1;
  const times = {
    pickMs: toMicroseconds(pickMs),
    connectMs: toMicroseconds(connectMs),
    totalMs: toMicroseconds(durationMs),
  };
  return { reason, bytesToBackend, bytesToClient, ...times, attempts };
}

/** The clock's further digits say nothing, and travel and are logged with every connection. In ms. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

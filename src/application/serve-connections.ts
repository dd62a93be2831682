// Runs in: worker
import { LACKS, lackOf, pauseBeforeRedial, refusalAfter } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { RefusalReason } from '../domain/entities.ts';
import type { ListenerSpec } from '../domain/listener-spec.ts';
import { NumberMap } from '../domain/number-map.ts';
import {
  type Answered,
  type Assignment,
  type Closed,
  Connection,
  closedReport,
  toMicroseconds,
} from './client-connection.ts';
import { type InspectorFor, InspectPrereads } from './inspect-prereads.ts';
import type { BackendPicker, PickAnswer } from './ports/backend-picker.ts';
import type { Clock } from './ports/clock.ts';
import type { Conn, DataPlane, DataPlaneEvent } from './ports/data-plane.ts';

export interface ServeOptions {
  readonly picker: BackendPicker;
  readonly clock: Clock;
  /** Dials for one client, >= 1. */
  readonly connectAttempts: number;
  /** Called when the last connection ended and is reported; also when there was none. */
  readonly onIdle: () => void;
  /** Who looks at the first bytes of clients, for listeners that ask for it. Default: nobody does. */
  readonly inspectorFor?: InspectorFor;
  /** Calls `act` after so many ms, unless the function that it returns was called. Default: by the system's timers. */
  readonly later?: (ms: number, act: () => void) => () => void;
}

function laterBySystem(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

/** A reset of both sides takes some 50 us. */
const CUT_SLICE_MS = 2;

type Accepted = Extract<DataPlaneEvent, { type: 'accepted' }>;
type ConnectFailed = Extract<DataPlaneEvent, { type: 'connectFailed' }>;

/**
 * The life of each connection in a worker: accepted (-> preread) -> pick -> connect -> closed. Every way through ends in one
 * report, `closed` for a connection that held a slot and `unserved` for one that was turned away, so that slots and counts
 * cannot leak.
 */
export class ServeConnections {
  readonly #options: ServeOptions;
  readonly #dataPlane: DataPlane;
  readonly #connections = new NumberMap<Connection>();
  /** Rounds that the engine is settling for, in order. */
  readonly #syncs: number[] = [];
  /** Connections whose backend accepted in this turn. */
  readonly #justConnected: Connection[] = [];
  readonly #answers: Answered = {
    answered: (connection, seq, answer) => this.#answered(connection, seq, answer),
    waits: ({ conn }) => this.#dataPlane.watchHangUp(conn),
  };
  readonly #prereads: InspectPrereads;
  #lastSeq = 0;

  /** `makeDataPlane` receives the handler of the engine's events. */
  constructor(
    options: ServeOptions,
    makeDataPlane: (onEvents: (events: readonly DataPlaneEvent[]) => void) => DataPlane,
  ) {
    this.#options = options;
    this.#prereads = new InspectPrereads(options.inspectorFor ?? (() => null));
    this.#dataPlane = makeDataPlane((events) => this.#onEvents(events));
  }

  get dataPlane(): DataPlane {
    return this.#dataPlane;
  }

  /**
   * Serves the clients of `spec`, whose number among the primary's listeners is `listener`. Resolves when they may come.
   * @throws EDGE_ERR_INTERNAL for one that asks for what is not done here
   */
  async listen(handle: unknown, listener: number, spec: ListenerSpec): Promise<void> {
    this.#prereads.add(listener, spec);
    await this.#dataPlane.listen(handle, listener, spec.preread);
  }

  /**
   * Connections that are open, or over and not reported yet; those among them that the engine accepted in this turn and
   * has not told of: a worker that drains must not leave with them.
   */
  get size(): number {
    return Math.max(this.#connections.size, this.#dataPlane.size);
  }

  /** Reports all that the sockets know, and then that it did. */
  sync(round: number): void {
    this.#syncs.push(round);
    this.#dataPlane.settle();
  }

  /** Resets every connection that is left, in slices that do not hold up the loop. Returns how many. */
  async cutAll(): Promise<number> {
    const { clock } = this.#options;
    let cut = 0;
    let start = clock.now();
    for (const conn of this.#connections.keys()) {
      if (!this.#connections.has(conn)) continue;
      this.#dataPlane.close(conn);
      cut++;
      if (clock.now() - start < CUT_SLICE_MS) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      start = clock.now();
    }
    return cut;
  }

  #onEvents(events: readonly DataPlaneEvent[]): void {
    for (const event of events) this.#onEvent(event);
    this.#tellConnected();
    // One message a loop turn, however many connections it is about.
    this.#options.picker.flush();
    if (this.size === 0) this.#options.onIdle();
  }

  #onEvent(event: DataPlaneEvent): void {
    if (event.type === 'accepted') this.#accepted(event);
    else if (event.type === 'preread') this.#inspect(this.#connections.get(event.conn), event.preread, event.complete);
    else if (event.type === 'connected') this.#connected(event.conn, event.rttMs);
    else if (event.type === 'connectFailed') this.#connectFailed(event);
    else if (event.type === 'closed') this.#closed(event);
    else if (event.type === 'settled') this.#settled();
    else if (event.type === 'refused') this.#refusedByEngine(event.listener, event.address);
  }

  #settled(): void {
    this.#tellConnected();
    this.#options.picker.synced(this.#syncs.shift()!);
  }

  #refusedByEngine(listener: number, address: ClientAddress): void {
    this.#options.picker.unserved({ seq: 0, listener, address, reason: 'descriptor_limit', totalMs: 0, tried: [] });
  }

  #accepted({ conn, listener, address, preread }: Accepted): void {
    const connection = new Connection(this.#answers, conn, listener, address);
    this.#connections.set(conn, connection);
    if (preread === undefined) this.#pick(connection);
    else this.#inspect(connection, preread, false);
  }

  /** Before its first pick, and never after: the one place where who the client is may change. */
  #inspect(connection: Connection | undefined, preread: Uint8Array, complete: boolean): void {
    if (connection === undefined) return;
    const inspection = this.#prereads.inspect(connection.listener, preread, complete);
    if (inspection.kind === 'more') {
      this.#dataPlane.prereadMore(connection.conn);
    } else if (inspection.kind === 'refuse') {
      this.#refuse(connection, 'bad_preread');
    } else {
      connection.skip = inspection.skip;
      connection.address = inspection.address ?? connection.address;
      this.#pick(connection);
    }
  }

  #pick(connection: Connection): void {
    const seq = ++this.#lastSeq;
    connection.lastSeq = seq;
    connection.askedAt = this.#options.clock.now();
    const { listener, address, tried } = connection;
    this.#options.picker.pick({ seq, listener, address, tried }, connection);
  }

  #answered(connection: Connection, seq: number, answer: PickAnswer): void {
    connection.pickMs += this.#options.clock.now() - connection.askedAt;
    if (answer.kind === 'refused') {
      this.#refuse(connection, answer.reason);
    } else {
      connection.seq = seq;
      connection.backendId = answer.backendId;
      this.#dial(connection, answer);
    }
  }

  #dial(connection: Connection, to: Assignment): void {
    connection.assigned = to;
    connection.dialledAt = this.#options.clock.now();
    this.#dataPlane.connect(connection.conn, { to: to.endpoint, skip: connection.skip, contended: to.contended });
  }

  #connected(conn: Conn, rttMs: number): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined) return;
    connection.connectMs = rttMs;
    connection.justConnected = true;
    this.#justConnected.push(connection);
  }

  /** Of those that ended in the same turn, `closed` has told it. */
  #tellConnected(): void {
    for (const connection of this.#justConnected) {
      if (connection.justConnected) this.#options.picker.connected(connection.seq, connection.connectMs);
      connection.justConnected = false;
    }
    this.#justConnected.length = 0;
  }

  #connectFailed({ conn, code, here }: ConnectFailed): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined || connection.assigned === null) return;
    const { picker, clock, connectAttempts, later } = this.#options;
    const lack = lackOf(code, here);
    const failure = { code, ms: toMicroseconds(clock.now() - connection.dialledAt), ours: lack !== null };
    connection.tried = [...connection.tried, { backend: connection.backendId, ...failure }];
    const left = connectAttempts - connection.tried.length;
    // What another backend may not lack, another backend has the last attempt for.
    const again = lack !== null && LACKS[lack].passes && left > (LACKS[lack].elsewhere ? 1 : 0);
    picker.connectFailed(connection.seq, failure, again);
    if (again) {
      const { assigned } = connection;
      const pause = pauseBeforeRedial(connection.tried.length);
      connection.cancel = (later ?? laterBySystem)(pause, () => this.#dial(connection, assigned));
      return;
    }
    connection.seq = 0;
    if (left > 0 && (lack === null || LACKS[lack].elsewhere)) this.#pick(connection);
    else this.#refuse(connection, refusalAfter(connection.tried));
  }

  #refuse(connection: Connection, reason: RefusalReason): void {
    connection.refused = reason;
    this.#dataPlane.reject(connection.conn, 'close');
  }

  #closed(event: Closed): void {
    const connection = this.#connections.delete(event.conn);
    if (connection === undefined) return;
    connection.cancel();
    const { picker } = this.#options;
    if (connection.refused !== null) {
      this.#reportUnserved(connection, event, connection.refused);
    } else if (connection.seq !== 0) {
      picker.closed(connection.seq, closedReport(connection, event));
      connection.justConnected = false;
    } else if (connection.lastSeq === 0) {
      this.#reportUnserved(connection, event, 'bad_preread');
    } else {
      const reason = picker.cancel(connection.lastSeq);
      // Whom we cut at the drain deadline did not leave.
      const cut = event.reason === 'drained' && reason === 'client_left';
      this.#reportUnserved(connection, event, cut ? 'pick_timeout' : reason);
    }
  }

  #reportUnserved({ lastSeq, listener, address, tried }: Connection, event: Closed, reason: RefusalReason): void {
    const totalMs = toMicroseconds(event.durationMs);
    this.#options.picker.unserved({ seq: lastSeq, listener, address, reason, totalMs, tried });
  }
}

import type {
  CloseReason,
  Conn,
  DataPlane,
  DataPlaneEvent,
  Dial,
  Endpoint,
  PrereadOptions,
} from '../../src/application/ports/data-plane.ts';
import { parseAddress } from '../../src/ip-address.ts';

type Wants =
  | { readonly kind: 'connect'; readonly to: Endpoint; readonly skip: number }
  | { readonly kind: 'reject' }
  | { readonly kind: 'close' };

/** An engine without sockets: writes down what it is asked, and the test says what comes of it. */
export class ScriptedDataPlane implements DataPlane {
  readonly #onEvents: (events: readonly DataPlaneEvent[]) => void;
  readonly #open = new Set<Conn>();
  /** The latest wish for each open connection. */
  readonly wants = new Map<Conn, Wants>();
  /** Connections that were dialled as contended. */
  readonly contended = new Set<Conn>();
  /** Connections whose leave is to be told as it comes. */
  readonly watched = new Set<Conn>();
  /** Connections of whose preread more was asked for, in order. */
  readonly wantsMore: Conn[] = [];
  /** What it listens for, by the listeners' numbers. */
  readonly listens = new Map<number, PrereadOptions | undefined>();
  /** How often it was asked to settle. */
  settles = 0;

  constructor(onEvents: (events: readonly DataPlaneEvent[]) => void) {
    this.#onEvents = onEvents;
  }

  get size(): number {
    return this.#open.size;
  }

  async listen(_handle: unknown, listener: number, preread?: PrereadOptions): Promise<void> {
    this.listens.set(listener, preread);
  }
  stopAccepting(): void {}
  acceptBelow(): void {}
  prereadMore(conn: Conn): void {
    this.wantsMore.push(conn);
  }
  settle(): void {
    this.settles++;
  }

  watchHangUp(conn: Conn): void {
    this.watched.add(conn);
  }

  connect(conn: Conn, { to, skip = 0, contended }: Dial): void {
    if (to === undefined) throw new Error('the worker has no sockets of backends');
    if (contended === true) this.contended.add(conn);
    this.#want(conn, { kind: 'connect', to, skip });
  }

  reject(conn: Conn): void {
    this.#want(conn, { kind: 'reject' });
  }

  close(conn: Conn): void {
    if (this.#open.has(conn)) this.#want(conn, { kind: 'close' });
  }

  /** What the engine was asked to do with the connection, as text. */
  wish(conn: Conn): string {
    const wants = this.wants.get(conn);
    return wants?.kind === 'connect' ? `connect ${wants.to.host}:${wants.to.port}` : (wants?.kind ?? 'nothing');
  }

  emit(...events: readonly DataPlaneEvent[]): void {
    for (const event of events) {
      if (event.type === 'accepted') this.#open.add(event.conn);
      if (event.type === 'connected' || event.type === 'connectFailed') this.wants.delete(event.conn);
      if (event.type === 'closed') {
        this.#open.delete(event.conn);
        this.wants.delete(event.conn);
      }
    }
    this.#onEvents(events);
  }

  #want(conn: Conn, wants: Wants): void {
    if (!this.#open.has(conn)) throw new Error(`connection ${conn} is not open, but is to ${wants.kind}`);
    const before = this.wants.get(conn);
    // It is ending, and its user cannot know yet.
    if (before?.kind === 'close') return;
    if (before !== undefined && wants.kind !== 'close')
      throw new Error(`connection ${conn} is to ${wants.kind} while it is to ${before.kind}`);
    this.wants.set(conn, wants);
  }
}

export const accepted = (conn: Conn, address = '10.0.0.1', listener = 0): DataPlaneEvent => ({
  type: 'accepted',
  conn,
  listener,
  address: parseAddress(address)!,
});

export const connected = (conn: Conn, rttMs = 2): DataPlaneEvent => ({ type: 'connected', conn, rttMs });

export const failed = (conn: Conn, code = 'ECONNREFUSED', here = false): DataPlaneEvent => ({
  type: 'connectFailed',
  conn,
  code,
  here,
});

export const closed = (conn: Conn, reason: CloseReason = 'finished'): DataPlaneEvent => ({
  type: 'closed',
  conn,
  reason,
  bytesToBackend: 3,
  bytesToClient: 4,
  durationMs: 50,
});

// Runs in: worker
import net from 'node:net';
import {
  type Conn,
  type DataPlane,
  type DataPlaneOptions,
  type Dial,
  type PrereadOptions,
  prereadProblem,
  type RejectHow,
} from '../../../application/ports/data-plane.ts';
import type { ClientAddress } from '../../../domain/client-address.ts';
import { NumberMap } from '../../../domain/number-map.ts';
import { EdgeError, messageOf } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';
import type { ListeningHandle } from '../../../ipc/listening-socket.ts';
import { AcceptGate } from './accept-gate.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection-owner.ts';
import { DialDeadlines } from './dial-deadlines.ts';
import { EventBatch } from './event-batch.ts';
import { adoptConnections, presetAccepted, type TcpHandle } from './node-internals.ts';
import { ReadBuffers } from './read-buffers.ts';
import { type ClientSource, KEEPALIVE_SECONDS, Side } from './side.ts';
import { type LookAtWire, lookPeriod } from './wire-watch.ts';

/** Clients that the kernel queues for a listening socket; it takes the smaller of this and `net.core.somaxconn`. */
const BACKLOG = 4096;

/** How often timeouts are checked, in ms. */
const CHECK_MS = 1000;

/** What checks may take of one turn of the loop, in ms: closing a connection takes some 50 us. */
const SHARE_OF_TURN_MS = 2;

/**
 * What a socket has to tell is read in this turn of the loop or the next; an end that is read there closes sockets, which
 * Node tells of at the end of that turn.
 */
const SETTLE_TURNS = 3;

/** Connection numbers start again after this one: the largest that is a small integer everywhere. */
const LAST_CONN = 2 ** 30 - 1;

/** By which listener a client came. */
interface Origin {
  readonly listener: number;
  readonly preread: PrereadOptions | undefined;
}

export interface StreamTuning {
  /** Take connections from the listening handle before Node builds its socket, where Node lets us. Default: true. */
  readonly adopt?: boolean;
  /**
   * Asks the kernel what peers acknowledged, which Node does not. Without it a peer that vanishes while it is sent to is
   * found when the kernel gives up, and a slow reader counts as silent between two writes that the kernel takes.
   */
  readonly lookAtWire?: LookAtWire | undefined;
}

/** The data plane on `node:net`: the reference engine, for every platform. */
export class StreamDataPlane implements DataPlane<ListeningHandle>, ConnectionOwner {
  readonly options: DataPlaneOptions;
  readonly buffers = new ReadBuffers();
  readonly events: EventBatch;
  readonly lookAtWire: LookAtWire | undefined;
  readonly deadlines: DialDeadlines;
  readonly #lookPeriod: number;
  readonly #adopt: boolean;
  readonly #connections = new NumberMap<Connection>();
  readonly #servers = new Set<net.Server>();
  readonly #gate: AcceptGate;
  /** Connections that `accepted` was told of. */
  #known = 0;
  #lastConn = 0;
  #checks: NodeJS.Timeout | undefined;
  #checkCount = 0;

  constructor(options: DataPlaneOptions, tuning: StreamTuning = {}) {
    this.options = options;
    this.#adopt = tuning.adopt ?? true;
    this.lookAtWire = tuning.lookAtWire;
    this.#lookPeriod = lookPeriod([options.idleTimeoutMs, options.halfCloseTimeoutMs, options.unackedTimeoutMs]);
    this.deadlines = new DialDeadlines(options.connectTimeoutMs);
    this.events = new EventBatch(options.onEvents);
    this.#gate = new AcceptGate(
      () => this.#closeServers(),
      () => options.onReopen?.(),
    );
  }

  get size(): number {
    return this.#connections.size;
  }

  /**
   * Takes `handle` over: it is closed by `stopAccepting`, and when this fails. Rejects with EDGE_ERR_LISTEN when the
   * kernel refuses to listen.
   */
  async listen(handle: ListeningHandle, listener: number, preread?: PrereadOptions): Promise<void> {
    const problem = preread === undefined ? '' : prereadProblem(preread);
    // While clients are left to others: it is asked for again.
    if (problem === '' && !this.#gate.isClosed) return this.#listen(handle, { listener, preread });
    handle.close();
    if (problem === '') return;
    throw new EdgeError('EDGE_ERR_INTERNAL', problem);
  }

  stopAccepting(): void {
    this.#closeServers();
    for (const conn of this.#connections.keys()) this.#connections.get(conn)?.announce();
    // Last: it counts those that are announced.
    this.#gate.stop();
  }

  acceptBelow(connections: number): void {
    if (this.options.onReopen === undefined) return;
    // What one cannot hold another can perhaps.
    const limit = connections === 0 ? 0 : Math.min(connections, this.options.maxConnections);
    this.#gate.setLimit(limit, this.#known);
  }

  prereadMore(conn: Conn): void {
    this.#find(conn)?.prereadMore();
  }

  /** Ignored: `#check` looks at every client that waits. */
  watchHangUp(): void {}

  connect(conn: Conn, dial: Dial<ListeningHandle>): void {
    if (this.#find(conn)?.connect(dial) !== true) dial.socket?.close();
  }

  reject(conn: Conn, how: RejectHow): void {
    this.#find(conn)?.reject(how);
  }

  close(conn: Conn): void {
    this.#find(conn)?.abort();
  }

  settle(): void {
    let turns = SETTLE_TURNS;
    const turn = () => {
      if (turns-- > 0) setImmediate(turn);
      else this.events.push({ type: 'settled' });
    };
    turn();
  }

  /** For the connections. */
  ended(conn: Conn): void {
    const known = this.#connections.delete(conn)?.announced === true;
    if (known) this.#gate.left(--this.#known);
  }

  #find(conn: Conn): Connection | undefined {
    const connection = this.#connections.get(conn);
    // The number is nobody's as long as it was not told.
    return connection?.announced ? connection : undefined;
  }

  #listen(handle: ListeningHandle, origin: Origin): Promise<void> {
    const server = net.createServer(Side.SERVER_OPTIONS);
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => {
        reject(new EdgeError('EDGE_ERR_LISTEN', `cannot accept on this socket: ${messageOf(cause)}`, { cause }));
      };
      // Stays for good: once it listens, a failed accept is no reason to end the process.
      server.on('error', fail);
      server.once('close', () => fail('accepting was stopped'));
      server.once('listening', resolve);
      server.on('connection', (socket) => this.#acceptSocket(socket, origin));
      try {
        server.listen(handle, BACKLOG);
      } catch (error) {
        fail(error);
        return;
      }
      this.#servers.add(server);
      const preset = presetAccepted(server, KEEPALIVE_SECONDS);
      if (this.#adopt) adoptConnections(server, (client) => this.#acceptHandle(client, origin, preset));
    });
  }

  #closeServers(): void {
    for (const server of this.#servers) server.close();
    this.#servers.clear();
  }

  #acceptHandle(client: TcpHandle, origin: Origin, preset: boolean): void {
    const peer: { address?: string } = {};
    const address = client.getpeername(peer) === 0 ? parseAddress(peer.address ?? '') : null;
    // Without an address: the client vanished in the queue.
    if (address === null || this.#isFull(origin.listener, address)) {
      client.close();
      return;
    }
    if (!preset) {
      client.setNoDelay(true);
      client.setKeepAlive(true, KEEPALIVE_SECONDS);
    }
    this.#accept(client, origin, address);
  }

  #acceptSocket(socket: net.Socket, origin: Origin): void {
    const address = parseAddress(socket.remoteAddress ?? '');
    if (address === null || this.#isFull(origin.listener, address)) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#accept(socket, origin, address);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_SECONDS * 1000);
  }

  #isFull(listener: number, address: ClientAddress): boolean {
    // A client whose descriptor is still to be closed counts on.
    if (this.#connections.size + this.events.afterwards < this.options.maxConnections) return false;
    this.events.push({ type: 'refused', listener, address });
    return true;
  }

  #accept(client: ClientSource, { listener, preread }: Origin, address: ClientAddress): void {
    do this.#lastConn = this.#lastConn === LAST_CONN ? 1 : this.#lastConn + 1;
    while (this.#connections.has(this.#lastConn));
    const conn = this.#lastConn;
    const told = () => this.#gate.accepted(++this.#known);
    const source = preread === undefined ? null : { conn, listener, address, options: preread, told };
    this.#connections.set(conn, new Connection(conn, this, client, source));
    this.#checks ??= this.#checkLater();
    if (source !== null) return;
    this.events.push({ type: 'accepted', conn, listener, address });
    told();
  }

  /** Behind the poll phase: when this thread was held up, what came in time is read before. */
  #checkLater(): NodeJS.Timeout {
    return setTimeout(() => setImmediate(() => this.#check()), CHECK_MS).unref();
  }

  #check(): void {
    if (this.#connections.size === 0) {
      this.#checks = undefined;
      return;
    }
    this.#checkCount++;
    this.#checkFrom(this.#connections.keys(), 0);
  }

  /** Checks some, and goes on in the next turn of the loop. */
  #checkFrom(conns: Float64Array, start: number): void {
    const now = performance.now();
    for (let at = start; at < conns.length; at++) {
      const conn = conns[at]!;
      // Each check looks at another share.
      const lookIsDue = (conn + this.#checkCount) % this.#lookPeriod === 0;
      this.#connections.get(conn)?.check(now, lookIsDue);
      if (performance.now() - now < SHARE_OF_TURN_MS) continue;
      setImmediate(() => this.#checkFrom(conns, at + 1));
      return;
    }
    this.#checks = this.#checkLater();
  }
}

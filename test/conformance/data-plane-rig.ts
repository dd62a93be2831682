import { once } from 'node:events';
import net from 'node:net';
import type { Test } from 'tap';
import type { BoundSocket } from '../../src/adapters/outbound/listening-sockets/bind-address.ts';
import type {
  Conn,
  DataPlane,
  DataPlaneEvent,
  DataPlaneOptions,
  Dial,
  DialOptions,
  PrereadOptions,
} from '../../src/application/ports/data-plane.ts';
import { bindSocket } from '../fixtures/bind-socket.ts';
import { PrereadFollower } from './data-plane-preread-follower.ts';

/** A bound socket, as the engines take it. */
export type Handle = BoundSocket['handle'];

export type MakeEngine = (options: DataPlaneOptions) => DataPlane<Handle>;

type Of<T extends DataPlaneEvent['type']> = Extract<DataPlaneEvent, { type: T }>;

/** Timeouts that no test reaches by accident. */
const DEFAULTS = {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  maxConnections: 1000,
};

/** The number by which every rig's first listener is known. */
export const LISTENER = 7;

/**
 * An engine under test, that listens on a loopback port. It holds every event against what the port promises of their
 * order, and at the end of the test that every accepted connection was closed exactly once.
 */
export class Rig {
  readonly engine: DataPlane<Handle>;
  readonly events: DataPlaneEvent[] = [];
  /** Events of the largest batch so far. */
  largestBatch = 0;
  readonly #broken: string[] = [];
  readonly #life = new Map<Conn, 'waiting' | 'dialling' | 'connected'>();
  readonly #waiting = new Set<() => void>();
  readonly #prereads = new PrereadFollower((promise) => this.#wrong(promise));
  #stopping = false;
  #inside = false;
  #hadBatch = false;
  readonly #onEvent: (event: DataPlaneEvent) => void;

  private constructor(make: MakeEngine, options: Partial<DataPlaneOptions>, onEvent: (event: DataPlaneEvent) => void) {
    this.#onEvent = onEvent;
    this.engine = make({ ...DEFAULTS, ...options, onEvents: (events) => this.#onEvents(events) });
  }

  /** `onEvent` is called with each event as it is delivered. */
  static async start(
    t: Test,
    make: MakeEngine,
    options: Partial<DataPlaneOptions> = {},
    onEvent: (event: DataPlaneEvent) => void = () => {},
  ): Promise<Rig> {
    const rig = new Rig(make, options, onEvent);
    t.teardown(() => rig.#stop());
    return rig;
  }

  /** Listens on a loopback address; the port. */
  async listen(host = '127.0.0.1', listener = LISTENER, preread?: PrereadOptions): Promise<number> {
    const { handle, port } = bind(host);
    this.#prereads.listens(listener, preread);
    await this.engine.listen(handle, listener, preread);
    return port;
  }

  prereadMore(conn: Conn): void {
    if (this.#life.get(conn) === 'waiting') this.#prereads.asks(conn);
    this.#call(() => this.engine.prereadMore(conn));
  }

  connect(conn: Conn, port: number, host = '127.0.0.1', options: DialOptions = {}): void {
    this.dial(conn, { ...options, to: { host, port } });
  }

  dial(conn: Conn, dial: Dial<Handle>): void {
    // One that is over already is ignored.
    if (this.#life.has(conn)) this.#life.set(conn, 'dialling');
    this.#prereads.takesBack(conn);
    this.#call(() => this.engine.connect(conn, dial));
  }

  watchHangUp(conn: Conn): void {
    this.#call(() => this.engine.watchHangUp(conn));
  }

  settle(): void {
    this.#call(() => this.engine.settle());
  }

  reject(conn: Conn, how: 'close' | 'reset'): void {
    this.#prereads.takesBack(conn);
    this.#call(() => this.engine.reject(conn, how));
  }

  close(conn: Conn): void {
    this.#prereads.takesBack(conn);
    this.#call(() => this.engine.close(conn));
  }

  /** The next event of that type, or one that has come and was not asked for yet. */
  next<T extends DataPlaneEvent['type']>(type: T): Promise<Of<T>> {
    return this.until((event): event is Of<T> => event.type === type);
  }

  /** The last event of a connection. */
  closed(conn: Conn): Promise<Of<'closed'>> {
    return this.until((event): event is Of<'closed'> => event.type === 'closed' && event.conn === conn);
  }

  /** The first event that fits and was not asked for yet; it counts as asked for from now on. */
  until<E extends DataPlaneEvent>(fits: (event: DataPlaneEvent) => event is E): Promise<E> {
    return new Promise((resolve) => {
      const look = () => {
        const at = this.events.findIndex(fits);
        const event = this.events[at];
        if (event === undefined || !fits(event)) return;
        this.events.splice(at, 1);
        this.#waiting.delete(look);
        resolve(event);
      };
      this.#waiting.add(look);
      look();
    });
  }

  #call(method: () => void): void {
    this.#inside = true;
    method();
    this.#inside = false;
  }

  #onEvents(events: readonly DataPlaneEvent[]): void {
    if (this.#inside) this.#wrong('events were delivered from within a method of the engine');
    if (this.#hadBatch) this.#wrong('two batches in one turn of the loop');
    if (events.length === 0) this.#wrong('an empty batch');
    this.#hadBatch = true;
    this.largestBatch = Math.max(this.largestBatch, events.length);
    // Asked for before anything that this batch causes, so it runs before the next turn's batch.
    setImmediate(() => {
      this.#hadBatch = false;
    });
    for (const event of events) {
      this.#follow(event);
      this.#onEvent(event);
    }
    this.events.push(...events);
    for (const look of [...this.#waiting]) look();
  }

  /** Holds an event against the life of its connection. */
  #follow(event: DataPlaneEvent): void {
    if (event.type === 'refused' || event.type === 'settled') return;
    const before = this.#life.get(event.conn) ?? 'none';
    const wrong = () => this.#wrong(`'${event.type}' of a connection that was '${before}'`);
    if (event.type === 'accepted') {
      if (before !== 'none' || !Number.isInteger(event.conn) || event.conn < 1) wrong();
      this.#life.set(event.conn, 'waiting');
      this.#prereads.accepted(event);
      if (this.#stopping) this.close(event.conn);
    } else if (event.type === 'preread') {
      if (before !== 'waiting') wrong();
      this.#prereads.told(event);
    } else if (event.type === 'closed') {
      if (before === 'none') wrong();
      this.#life.delete(event.conn);
      this.#prereads.closed(event.conn);
    } else {
      if (before !== 'dialling') wrong();
      this.#life.set(event.conn, event.type === 'connected' ? 'connected' : 'waiting');
    }
  }

  #wrong(promise: string): void {
    this.#broken.push(promise);
  }

  /** Throws when a promise was broken: a test that has ended cannot fail otherwise. */
  async #stop(): Promise<void> {
    this.#stopping = true;
    this.engine.stopAccepting();
    for (const conn of this.#life.keys()) this.close(conn);
    // A client whose preread is awaited is told now, and closed when it is.
    while (this.#life.size > 0 || (this.#prereads.any && this.engine.size > 0))
      await this.until((event): event is DataPlaneEvent => event !== null);
    if (this.engine.size !== 0) this.#wrong(`${this.engine.size} connections held after the last was closed`);
    if (this.#broken.length > 0) throw new Error(this.#broken.join('; '));
  }
}

/** A bound socket that does not listen yet. */
export function bind(host = '127.0.0.1'): { handle: Handle; port: number } {
  return bindSocket(host);
}

/** The far end of one side of a connection: a client, or a backend's end. */
export class Peer {
  readonly socket: net.Socket;
  /** What came so far. */
  readonly chunks: Buffer[] = [];
  length = 0;
  /** The socket is closed; the code of its error, or ''. */
  readonly closed: Promise<string>;
  /** The engine's side sent its end. */
  readonly ended: Promise<unknown>;

  constructor(t: Test, socket: net.Socket) {
    this.socket = socket;
    let code = '';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? 'no code';
    });
    this.closed = new Promise((resolve) => socket.on('close', () => resolve(code)));
    this.ended = new Promise((resolve) => socket.on('end', resolve));
    t.teardown(() => socket.destroy());
  }

  /** Keeps what comes. Nothing is read before. */
  read(): this {
    this.socket.on('data', (chunk: Buffer) => this.#keep(chunk));
    this.socket.resume();
    return this;
  }

  /** Keeps one piece, of what size it comes in; or finds that there is none any more. */
  async readPiece(): Promise<void> {
    const one = new Promise<void>((resolve) => {
      this.socket.once('data', (chunk: Buffer) => {
        this.socket.pause();
        this.#keep(chunk);
        resolve();
      });
    });
    this.socket.resume();
    await Promise.race([one, this.ended, this.closed]);
  }

  #keep(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
  }

  /** All that came, when it is at least `length` bytes. */
  async received(length: number): Promise<Buffer> {
    while (this.length < length) await once(this.socket, 'data');
    return Buffer.concat(this.chunks);
  }

  /**
   * The code of the reset that has come to a socket that read its end before, and so gets no event by itself: it is told
   * of it when it writes.
   */
  resetAfterEnd(): Promise<string> {
    this.socket.write('is anybody there');
    return this.closed;
  }

  /** All that came, when the end has come. */
  async all(): Promise<Buffer> {
    await this.ended;
    return Buffer.concat(this.chunks);
  }
}

/** A client that is connected. It reads only when it is told to. */
export async function client(t: Test, port: number, host = '127.0.0.1'): Promise<Peer> {
  const socket = net.connect({ host, port, allowHalfOpen: true, autoSelectFamily: false });
  socket.pause();
  const peer = new Peer(t, socket);
  await once(socket, 'connect');
  return peer;
}

export interface Backend {
  readonly port: number;
  /** The next connection that the engine dialled. It reads only when it is told to. */
  accept(): Promise<Peer>;
}

export async function backend(t: Test, host = '127.0.0.1'): Promise<Backend> {
  const queue: Peer[] = [];
  const waiting: ((peer: Peer) => void)[] = [];
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const peer = new Peer(t, socket);
    const next = waiting.shift();
    if (next) next(peer);
    else queue.push(peer);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return {
    port: (server.address() as net.AddressInfo).port,
    accept: async () => queue.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  };
}

/** A port of loopback on which nobody listens, for as long as the test runs. */
export function refusingPort(t: Test): number {
  const { handle, port } = bind();
  t.teardown(() => handle.close());
  return port;
}

export interface Pair {
  readonly conn: Conn;
  readonly client: Peer;
  readonly backend: Peer;
}

/** A client and a backend that are connected through the engine. */
export async function pair(t: Test, rig: Rig, port: number, to: Backend, host = '127.0.0.1'): Promise<Pair> {
  const near = await client(t, port, host);
  const { conn } = await rig.next('accepted');
  rig.connect(conn, to.port);
  await rig.next('connected');
  return { conn, client: near, backend: await to.accept() };
}

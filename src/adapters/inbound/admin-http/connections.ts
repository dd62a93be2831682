// Runs in: primary
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** In ms, each counted from where its stage begins, for all of the stage: a byte now and then does not help. */
export interface AdminDeadlines {
  /** From the connection to the end of its first request's head. */
  readonly headMs: number;
  /** From there to the end of the body. */
  readonly bodyMs: number;
  /** From an answer to the end of the next request's head. */
  readonly idleMs: number;
  /** From the first byte of an answer to the last one that the kernel takes. */
  readonly answerMs: number;
  /** From our end to the peer's. */
  readonly lingerMs: number;
  /** From `close` on, for answers under way. */
  readonly drainMs: number;
}

export const DEADLINES: AdminDeadlines = {
  headMs: 10_000,
  bodyMs: 10_000,
  idleMs: 5_000,
  answerMs: 60_000,
  lingerMs: 1_000,
  drainMs: 2_000,
};

export interface AdminPlaces {
  /** Connections held at most. */
  readonly all: number;
  /** Of these, those that only peers of this host can take. */
  readonly local: number;
  readonly isLocal: (socket: Socket) => boolean;
}

export const PLACES: AdminPlaces = { all: 256, local: 32, isLocal };

/** An answer that has been under way for so long is given up for a newcomer, when nothing else is left to give up. In ms. */
const PATIENT_ANSWER_MS = 5_000;

/** `working`: for as long as its handler takes, which has its own end. */
type Stage = 'head' | 'body' | 'working' | 'answering' | 'idle' | 'leaving';

interface Connection {
  readonly socket: Socket;
  readonly local: boolean;
  readonly openedAt: number;
  /** A request of it was let through: it came with the token, where there is one. */
  proven: boolean;
  stage: Stage;
  since: number;
  response: ServerResponse | null;
}

/**
 * The connections of the admin server: each is in one stage, and each stage ends in a closed descriptor, whatever the peer
 * does or leaves undone. Node's own timeouts end in our half of the close, and a peer may keep the other half for ever.
 *
 * When all places are taken, the newcomer gets that of whoever has waited longest without a request that was let through;
 * so silent peers, however many, keep nobody out.
 */
export class AdminConnections {
  readonly #deadlines: AdminDeadlines;
  readonly #places: AdminPlaces;
  readonly #connections = new Map<Socket, Connection>();
  readonly #timer: NodeJS.Timeout;
  #whenEmpty: (() => void) | null = null;

  constructor(server: Server, deadlines: AdminDeadlines, places: AdminPlaces) {
    this.#deadlines = deadlines;
    this.#places = places;
    server.on('connection', (socket: Socket) => this.#open(socket));
    const shortest = Math.min(...Object.values(deadlines));
    this.#timer = setInterval(() => this.#sweep(), Math.max(5, Math.min(500, shortest / 4)));
    this.#timer.unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** A request's head is here. `false`: it is not to be handled. */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    const connection = this.#connections.get(request.socket);
    // Node hands requests that came together on at once, each with an answer that waits for those before. No client of
    // ours sends so; what would be held for one that does has no bound.
    if (connection === undefined || connection.response !== null) {
      request.socket.destroy();
      return false;
    }
    connection.response = response;
    response.once('close', () => this.#answered(connection));
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    if (length === '0' && encoding === undefined) {
      enter(connection, 'working');
      return true;
    }
    enter(connection, 'body');
    request.once('end', () => {
      if (connection.stage === 'body') enter(connection, 'working');
    });
    return true;
  }

  /** A request was let through. */
  prove(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.proven = true;
  }

  /** Its answer begins. */
  answering(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined && connection.stage !== 'leaving') enter(connection, 'answering');
  }

  /** What is no HTTP, or has headers without end. */
  unreadable(error: Error & { code?: string }, socket: Socket): void {
    const connection = this.#connections.get(socket);
    // In the middle of an answer an error would be taken for a part of it.
    if (connection === undefined || connection.response !== null || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
    this.#leave(connection, status, `not readable as HTTP: ${error.message}`);
  }

  /** Ends those that wait for nothing, and the others when they are answered, or at the deadline. */
  async close(): Promise<void> {
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
      for (const { socket, response } of this.#connections.values()) if (response === null) socket.destroy();
      const deadline = setTimeout(() => {
        for (const socket of this.#connections.keys()) socket.destroy();
      }, this.#deadlines.drainMs);
      await empty;
      clearTimeout(deadline);
    }
    clearInterval(this.#timer);
  }

  #open(socket: Socket): void {
    const now = performance.now();
    const local = this.#places.isLocal(socket);
    if (this.#whenEmpty !== null || !this.#hasRoom(local, now)) {
      socket.destroy();
      return;
    }
    const connection = {
      socket,
      local,
      openedAt: now,
      proven: false,
      stage: 'head',
      since: now,
      response: null,
    } as const;
    this.#connections.set(socket, { ...connection });
    socket.once('close', () => this.#forget(socket));
  }

  #hasRoom(local: boolean, now: number): boolean {
    const { all, local: kept } = this.#places;
    const held = [...this.#connections.values()];
    const remotes = held.filter((connection) => !connection.local);
    if (!local && remotes.length >= all - kept) return this.#makeRoom(remotes, now);
    return held.length < all || this.#makeRoom(held, now);
  }

  /** Closes the connection that is least worth its place. */
  #makeRoom(candidates: readonly Connection[], now: number): boolean {
    const [victim] = candidates
      .map((connection) => ({ connection, worth: worthOf(connection, now) }))
      .filter(({ worth }) => worth < Infinity)
      .sort((a, b) => a.worth - b.worth);
    if (victim === undefined) return false;
    const { socket } = victim.connection;
    socket.destroy();
    // Its `close` comes a turn later, and the next newcomer of this turn must find it gone.
    this.#forget(socket);
    return true;
  }

  #forget(socket: Socket): void {
    this.#connections.delete(socket);
    if (this.#connections.size === 0) this.#whenEmpty?.();
  }

  #answered(connection: Connection): void {
    connection.response = null;
    if (connection.stage === 'leaving') return;
    if (this.#whenEmpty !== null && !connection.socket.writableEnded) connection.socket.end();
    enter(connection, connection.socket.writableEnded ? 'leaving' : 'idle');
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections.values()) {
      if (now - connection.since < this.#allowed(connection.stage)) continue;
      const { socket, stage, response } = connection;
      const asked = stage === 'body' || (stage === 'head' && socket.bytesRead > 0);
      if (asked && response?.headersSent !== true) this.#leave(connection, 408, 'the request did not come to its end');
      else socket.destroy();
    }
  }

  #allowed(stage: Stage): number {
    const { headMs, bodyMs, idleMs, answerMs, lingerMs } = this.#deadlines;
    return {
      head: headMs,
      body: bodyMs,
      working: Infinity,
      answering: answerMs,
      idle: idleMs,
      leaving: lingerMs,
    }[stage];
  }

  #leave(connection: Connection, status: keyof typeof STATUS_TEXT, message: string): void {
    const body = JSON.stringify({ error: { code: 'EDGE_ERR_USAGE', message } });
    const type = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
    connection.socket.end(`HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\n${type}\r\nconnection: close\r\n\r\n${body}`);
    enter(connection, 'leaving');
  }
}

const STATUS_TEXT = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
} as const;

function enter(connection: Connection, stage: Stage): void {
  connection.stage = stage;
  connection.since = performance.now();
}

/** The least goes first; Infinity stays. Within a kind the oldest goes first. */
function worthOf({ proven, stage, openedAt, since }: Connection, now: number): number {
  const kind = 2 ** 40;
  if (stage === 'leaving') return openedAt;
  if (stage === 'head' || stage === 'body' || stage === 'idle') return (proven ? 2 : 1) * kind + openedAt;
  return stage === 'answering' && now - since >= PATIENT_ANSWER_MS ? 3 * kind + since : Infinity;
}

/** From this host: over loopback, from one of its own addresses to the same, or through a unix socket. */
function isLocal({ remoteAddress, localAddress }: Socket): boolean {
  // Over a unix socket neither is known; of a peer that has reset already only ours.
  if (remoteAddress === undefined) return localAddress === undefined;
  return remoteAddress === localAddress || /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress);
}

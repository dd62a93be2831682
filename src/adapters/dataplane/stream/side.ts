// Runs in: worker
import net from 'node:net';
import { descriptorOf, makeSocket, readInto, surviveWrites, type TcpHandle } from './node-internals.ts';
import { BULK_READ, type ReadBuffers } from './read-buffers.ts';
import { type LookAtWire, WireWatch } from './wire-watch.ts';

/** An accepted connection: as Node's handle, or as a socket that has not been read. */
export type ClientSource = net.Socket | TcpHandle;

/** Seconds without a segment after which the kernel asks the peer whether it is still there; ten seconds later it is gone. */
export const KEEPALIVE_SECONDS = 60;

/**
 * Of a socket that is going to connect. Options of its constructor: `connect` of a socket that exists ignores them, without
 * a word.
 */
const DIALLING = { noDelay: true } as const;

/** What a connection wants to know of its two sides. */
export interface SideOwner {
  /** Bytes were read before `start`; reading has stopped. Returns how many may be read next at most, 0: any number. */
  sideRead(side: Side, bytes: Buffer): number;
  /** A write to the side failed. `false`: its socket fails now; `true`: what it sent before is still read. */
  sideLost(side: Side, error: Error): boolean;
  /** The side's socket failed; its `sideClosed` follows. */
  sideFailed(side: Side, error: Error): void;
  /** The peer sent its end, and everything before it was passed on. */
  sideEnded(side: Side): void;
  /** The descriptor is closed. */
  sideClosed(side: Side): void;
}

/**
 * Bytes that a socket may hold before `write` says no. With 1, `true` means that the kernel took everything, so that the
 * buffer may be read into again; `false` that it is in use until `drain`.
 */
const WRITE_MARK = 1;

/** Turns of the loop in which is read what a client sent to nobody, at most: some megabytes. */
const DISCARDING_TURNS = 64;

const NOTHING = Buffer.alloc(0);

/**
 * One side of a connection: its socket, and the direction that comes in by it. What it reads is written to the other side
 * at once; it reads no more until the other side took that, so a direction holds one buffer at most.
 */
export class Side {
  readonly socket: net.Socket;
  /** Bytes that were read here and handed to the other side's socket. */
  bytes = 0;
  /** The peer sent its end. */
  ended = false;
  closed = false;
  /** The peer is gone: what the other side sends is dropped. What this one sent before its end still goes to the other. */
  lost = false;
  /** Not being read, because the other side has not yet taken what came before. */
  paused = false;
  /** What is read goes nowhere: bytes of it in this turn of the loop. `null`: it goes to the other side. */
  #discarded: number | null = null;
  /** How often the other side's kernel took what had waited for it. */
  drains = 0;
  readonly #wire = new WireWatch();
  readonly #owner: SideOwner;
  readonly #buffers: ReadBuffers;
  #buffer: Buffer;
  #other: Side | null = null;

  /**
   * `source`: `null` for a socket that is going to connect. `prereadBytes`: of the first read before `start`, at most; 0: there
   * will be none.
   */
  constructor(owner: SideOwner, buffers: ReadBuffers, source: ClientSource | null, prereadBytes = 0) {
    this.#owner = owner;
    this.#buffers = buffers;
    this.#buffer = buffers.shared;
    if (source instanceof net.Socket) {
      this.socket = source;
      this.#attach();
      // The socket has been paused from the start, so this does not make it read.
      source.on('data', (chunk: Buffer) => {
        if (this.#discarded !== null) {
          this.#discarded += chunk.length;
          return;
        }
        if (this.#other === null) this.#owner.sideRead(this, chunk);
        else if (this.#pass(chunk) && !this.#waits(chunk.length >= BULK_READ)) return;
        source.pause();
      });
    } else {
      this.#boundNextRead(prereadBytes);
      this.socket = makeSocket({
        ...(source === null ? DIALLING : { handle: source, manualStart: true }),
        allowHalfOpen: true,
        writableHighWaterMark: WRITE_MARK,
        onread: { buffer: () => this.#buffer, callback: (length) => this.#read(length) },
      });
      this.#attach();
    }
  }

  /** Options for a server whose sockets become sides. */
  static readonly SERVER_OPTIONS = { allowHalfOpen: true, pauseOnConnect: true, highWaterMark: WRITE_MARK } as const;

  /** Reads before `start`, once. */
  prereadMore(): void {
    this.socket.resume();
  }

  /** Reads no more before `start`, or `prereadMore`. */
  stopPreread(): void {
    this.socket.pause();
  }

  /** Bytes may flow from here to `other`; `first`, which were read before, go first. */
  start(other: Side, first: Buffer = NOTHING): void {
    this.#other = other;
    const { shared } = this.#buffers;
    // The next read was bounded for a preread; where it cannot be changed the socket is closed.
    if (this.#buffer !== shared) readInto(this.socket, shared);
    this.#buffer = shared;
    if (first.length === 0 || this.#pass(first)) this.socket.resume();
  }

  /** Sends what does not come from the other side. */
  tell(bytes: Uint8Array): void {
    this.#wire.sent();
    this.socket.write(bytes);
  }

  /** Where nothing was preset. Not before it is needed: it takes four system calls, which short connections can do without. */
  keepAlive(): void {
    this.socket.setKeepAlive(true, KEEPALIVE_SECONDS * 1000);
  }

  /** A write of nothing, which fails if the peer is gone. */
  probe(): void {
    this.socket.write(NOTHING);
  }

  /**
   * Sends the end, and closes when what the peer has sent to nobody is read: the kernel resets a connection that is closed
   * with bytes in its queue. Nothing was written before, so the end goes out in this turn of the loop.
   */
  endUnread(): void {
    this.#discarded = 0;
    this.socket.end();
    this.socket.resume();
    let turns = 0;
    const look = () => {
      // This turn may be past its reads.
      if ((this.#discarded === 0 && turns > 0) || turns === DISCARDING_TURNS) {
        this.socket.destroy();
        return;
      }
      turns++;
      this.#discarded = 0;
      setImmediate(look);
    };
    setImmediate(look);
  }

  /**
   * Closes it: an end to a peer that got all there was, whose data may still be on its way in the kernel; a reset to one for
   * which bytes are left, which must not take what it has for the whole; and to one that has our end and goes on, which a
   * close would tell nothing: a backend would hold for good what we count no more.
   */
  expire(): void {
    const isDeaf = this.socket.writableEnded && !this.ended && this.#wire.isSettled;
    if (this.socket.writableLength > 0 || isDeaf) this.reset();
    else this.socket.destroy();
  }

  /** RST to the peer, as far as it has not been sent one. */
  reset(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    if (socket.connecting) {
      // resetAndDestroy would wait for the connection.
      socket.destroy();
    } else if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
      // A shutdown is under way, and the kernel's answer is picked up in this turn of the loop or the next. libuv refuses
      // to reset in between, and Node then loses the descriptor.
      socket.once('finish', () => socket.resetAndDestroy());
    } else {
      socket.resetAndDestroy();
    }
  }

  /** Everything that was written is followed by an end. */
  end(): void {
    this.#wire.sent();
    this.socket.end();
  }

  /** Asks the kernel what became of what was sent. `false`: the peer owes an answer for `timeoutMs` (0: for any time). */
  lookAtWire(now: number, look: LookAtWire, timeoutMs: number): boolean {
    return this.#wire.look(now, descriptorOf(this.socket), look, timeoutMs);
  }

  /** When the peer acknowledged something last, at the latest, as far as `lookAtWire` saw it. */
  get acknowledgedAt(): number {
    return this.#wire.movedAt;
  }

  /** Nothing came for a while: gives up a buffer of its own that is not in use. */
  rest(): void {
    const { shared } = this.#buffers;
    if (this.#ownsBuffer && !this.paused && readInto(this.socket, shared)) this.releaseBuffer();
  }

  /** Nothing reads into the buffer or writes from it any more, as when both sides are closed. */
  releaseBuffer(): void {
    if (this.#ownsBuffer) this.#buffers.release(this.#buffer);
    this.#buffer = this.#buffers.shared;
  }

  /** `bytes`: 0 for as many as there is room for. What is beyond them stays in the kernel. */
  #boundNextRead(bytes: number): void {
    const { shared } = this.#buffers;
    this.#buffer = bytes > 0 ? shared.subarray(0, bytes) : shared;
  }

  get #ownsBuffer(): boolean {
    return this.#buffer.buffer !== this.#buffers.shared.buffer;
  }

  #attach(): void {
    const { socket } = this;
    surviveWrites(socket, (error) => this.#owner.sideLost(this, error));
    socket.on('error', (error) => this.#owner.sideFailed(this, error));
    socket.on('close', () => {
      this.closed = true;
      this.#owner.sideClosed(this);
    });
    socket.on('end', () => {
      this.ended = true;
      this.#owner.sideEnded(this);
    });
    socket.on('drain', () => this.#other?.unpause());
  }

  /** The other side took everything. */
  unpause(): void {
    if (!this.paused) return;
    this.paused = false;
    this.drains++;
    this.#buffers.turns.wait(this);
  }

  /** Its turn has come. */
  resume(): void {
    if (!this.paused) this.socket.resume();
  }

  /** Called by the socket after it read into `#buffer`; takes the buffer for its next read from there afterwards. */
  #read(length: number): boolean {
    const buffer = this.#buffer;
    if (this.#discarded !== null) {
      this.#discarded += length;
      return true;
    }
    if (this.#other === null) {
      this.#boundNextRead(this.#owner.sideRead(this, Buffer.from(buffer.subarray(0, length))));
      return false;
    }
    const bulk = length >= BULK_READ;
    if (buffer === this.#buffers.shared) {
      // The next socket reads into the same memory, perhaps before the kernel took all of this.
      const chunk = Buffer.allocUnsafe(length);
      buffer.copy(chunk, 0, 0, length);
      if (bulk) this.#buffer = this.#buffers.acquire();
      return this.#pass(chunk) && !this.#waits(bulk);
    }
    const taken = this.#pass(length === buffer.length ? buffer : buffer.subarray(0, length));
    if (taken && !bulk) this.releaseBuffer();
    return taken && !this.#waits(bulk);
  }

  #waits(bulk: boolean): boolean {
    if (bulk) this.#buffers.turns.wait(this);
    return bulk;
  }

  /** `true`: the other side's kernel took it all, read on. */
  #pass(chunk: Buffer): boolean {
    const other = this.#other;
    if (other === null || other.socket.destroyed) return false;
    // Whoever sends it would not come to read otherwise.
    if (other.lost) return true;
    this.bytes += chunk.length;
    other.#wire.sent();
    this.paused = !other.socket.write(chunk);
    return !this.paused;
  }
}

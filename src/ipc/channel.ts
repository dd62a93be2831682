import { type Duplex, finished } from 'node:stream';
import { EdgeError } from '../errors.ts';
import { encodeFrames, FrameDecoder } from './codec.ts';

/** Messages that are heard in one turn of the loop: some 5 us each. A peer may have a hundred thousand to tell at once. */
const HEARD_A_TURN = 256;

/** Bytes that may wait for a peer that does not read; beyond them it is given up, since memory is not without end. */
const MAX_BUFFERED_BYTES = 16 << 20;

export interface ChannelHandlers<In> {
  /** Messages in order, a bounded number of them. */
  readonly onMessages: (messages: In[]) => void;
  /** `count` messages of one read were of no known form, and were dropped. */
  readonly onMalformed: (count: number) => void;
  /** Called once, when nothing can come any more. `error` unless the peer just went away. */
  readonly onClose: (error?: Error) => void;
}

/** One end of the socketpair between the primary and one worker. It closes by itself when either side dies. */
export class Channel<In, Out> {
  readonly #socket: Duplex;
  readonly #handlers: ChannelHandlers<In>;
  readonly #decoder = new FrameDecoder();
  readonly #isMessage: (value: unknown) => value is In;
  /** Came, and was not heard yet. */
  #incoming: In[] = [];
  #outgoing: Out[] = [];
  #error: Error | undefined;

  constructor(socket: Duplex, isMessage: (value: unknown) => value is In, handlers: ChannelHandlers<In>) {
    this.#socket = socket;
    this.#isMessage = isMessage;
    this.#handlers = handlers;
    // A dead peer's EPIPE or ECONNRESET is its death, which `close` tells.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#decode(chunk);
      this.#hear();
    });
    socket.on('end', () => this.destroy());
    socket.once('close', () => {
      // What a peer said before it died is heard before its death: a read, or two, that waited for their turns.
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) this.#decode(chunk);
      while (this.#incoming.length > 0) handlers.onMessages(this.#incoming.splice(0, HEARD_A_TURN));
      handlers.onClose(this.#error);
    });
  }

  #decode(chunk: Buffer): void {
    if (this.#error !== undefined) return;
    let decoded: unknown[];
    try {
      decoded = this.#decoder.decode(chunk);
    } catch (error) {
      this.destroy(error as EdgeError);
      return;
    }
    const messages = decoded.filter(this.#isMessage);
    if (messages.length < decoded.length) this.#handlers.onMalformed(decoded.length - messages.length);
    if (messages.length > 0) this.#incoming = this.#incoming.length === 0 ? messages : this.#incoming.concat(messages);
  }

  /** What is more than a turn's share waits for the next turn, and the socket with it. */
  #hear(): void {
    if (this.#incoming.length === 0) return;
    const share = this.#incoming.splice(0, HEARD_A_TURN);
    if (this.#incoming.length > 0) {
      this.#socket.pause();
      setImmediate(() => this.#hear());
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
    this.#handlers.onMessages(share);
  }

  /** Queues a message for the next `flush`. */
  push(message: Out): void {
    this.#outgoing.push(message);
  }

  /** Sends what is queued, in order. */
  flush(): void {
    if (this.#outgoing.length === 0) return;
    const messages = this.#outgoing;
    this.#outgoing = [];
    if (this.#socket.destroyed) return;
    if (this.#socket.writableLength > MAX_BUFFERED_BYTES) {
      this.destroy(new EdgeError('EDGE_ERR_CHANNEL', `the peer left ${this.#socket.writableLength} bytes unread`));
      return;
    }
    for (const frame of encodeFrames(messages)) this.#socket.write(frame);
  }

  /** Sends one message at once, behind those that are queued. */
  send(message: Out): void {
    this.push(message);
    this.flush();
  }

  /** Sends what is queued and then our end; `then` runs once, when the kernel has it all or nobody is there to have it. */
  end(then: () => void): void {
    this.flush();
    // A socket that is closed already calls nobody back.
    if (this.#socket.destroyed) queueMicrotask(then);
    else finished(this.#socket.end(), { readable: false }, () => then());
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }
}

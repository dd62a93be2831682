import { type Duplex, finished } from 'node:stream';
import { EdgeError } from '../errors.ts';
import { encodeFrames, FrameDecoder } from './codec.ts';

/** Bytes that may wait for a peer that does not read; beyond them it is given up, since memory is not without end. */
const MAX_BUFFERED_BYTES = 16 << 20;

export interface ChannelHandlers<In> {
  /** The messages of one read, in order. */
  readonly onMessages: (messages: In[]) => void;
  /** `count` messages of one read were of no known form, and were dropped. */
  readonly onMalformed: (count: number) => void;
  /** Called once, when nothing can come any more. `error` unless the peer just went away. */
  readonly onClose: (error?: Error) => void;
}

/** One end of the socketpair between the primary and one worker. It closes by itself when either side dies. */
export class Channel<In, Out> {
  readonly #socket: Duplex;
  #outgoing: Out[] = [];
  #error: Error | undefined;

  constructor(socket: Duplex, isMessage: (value: unknown) => value is In, handlers: ChannelHandlers<In>) {
    this.#socket = socket;
    const decoder = new FrameDecoder();
    // A dead peer's EPIPE or ECONNRESET is its death, which `close` tells.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      let decoded: unknown[];
      try {
        decoded = decoder.decode(chunk);
      } catch (error) {
        this.destroy(error as EdgeError);
        return;
      }
      const messages = decoded.filter(isMessage);
      if (messages.length < decoded.length) handlers.onMalformed(decoded.length - messages.length);
      if (messages.length > 0) handlers.onMessages(messages);
    });
    socket.on('end', () => this.destroy());
    socket.once('close', () => handlers.onClose(this.#error));
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

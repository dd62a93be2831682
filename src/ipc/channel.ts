import { EdgeError } from '../errors.ts';
import type { ByteLink } from './byte-link.ts';
import { FrameReader, FrameWriter } from './codec.ts';
import type { RecordSink } from './records.ts';

/** Messages and records that are heard in one turn of the loop. A peer may have a hundred thousand to tell at once. */
const HEARD_A_TURN = 256;

/** Bytes that may wait for a peer that does not read; beyond them it is given up, since memory is not without end. */
const MAX_BUFFERED_BYTES = 16 << 20;

export interface ChannelHandlers<In> {
  /** A turn begins: messages and records follow, in order, a bounded number of them. */
  readonly onTurn: () => void;
  readonly onMessage: (message: In) => void;
  /** The record stands at `at` of `view`, until this returns. */
  readonly onRecord: (view: DataView, at: number) => void;
  /** The turn is over. `malformed`: so many were of no known form, and were dropped. */
  readonly onTurnEnd: (malformed: number) => void;
  /** Called once, when nothing can come any more. `error` unless the peer just went away. */
  readonly onClose: (error?: Error) => void;
}

/** One end of the socketpair between the primary and one worker. It closes by itself when either side dies. */
export class Channel<In, Out> {
  readonly #link: ByteLink;
  readonly #handlers: ChannelHandlers<In>;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter();
  readonly #isMessage: (value: unknown) => value is In;
  #isPaused = false;
  #error: Error | undefined;

  constructor(link: ByteLink, isMessage: (value: unknown) => value is In, handlers: ChannelHandlers<In>) {
    this.#link = link;
    this.#isMessage = isMessage;
    this.#handlers = handlers;
    link.open({
      onBytes: (bytes) => {
        this.#reader.push(bytes);
        this.#hear();
        this.#reader.keep();
      },
      onClose: () => {
        // What a peer said before it died is heard before its death: a read, or two, that waited for their turns.
        while (this.#hearTurn());
        handlers.onClose(this.#error);
      },
    });
  }

  /** What is more than a turn takes waits for the next turn, and the socket with it. */
  #hear(): void {
    // What is left is heard when its close is told.
    if (this.#link.isDestroyed) return;
    if (this.#hearTurn()) {
      if (!this.#isPaused) this.#link.pause();
      this.#isPaused = true;
      setImmediate(() => this.#hear());
    } else if (this.#isPaused) {
      this.#isPaused = false;
      this.#link.resume();
    }
  }

  /** Whether there may be more. */
  #hearTurn(): boolean {
    if (this.#error !== undefined) return false;
    const handlers = this.#handlers;
    const reader = this.#reader;
    let malformed = 0;
    let heard = 0;
    handlers.onTurn();
    for (; heard < HEARD_A_TURN; heard++) {
      const next = this.#next();
      if (next === null) break;
      if (next === 'record') handlers.onRecord(reader.view, reader.recordAt);
      else if (this.#isMessage(reader.message)) handlers.onMessage(reader.message);
      else malformed++;
    }
    malformed += reader.malformed;
    reader.malformed = 0;
    handlers.onTurnEnd(malformed);
    return heard === HEARD_A_TURN;
  }

  #next(): 'message' | 'record' | null {
    try {
      return this.#reader.next();
    } catch (error) {
      this.destroy(error as EdgeError);
      return null;
    }
  }

  /** Where records are written; they are sent by the next `flush`. */
  get records(): RecordSink {
    return this.#writer;
  }

  /** Queues a message for the next `flush`. */
  push(message: Out): void {
    this.#writer.message(message);
  }

  /** Sends what is queued, in order. */
  flush(): void {
    if (this.#writer.isEmpty) return;
    if (this.#link.isDestroyed) {
      this.#writer.clear();
      return;
    }
    if (this.#link.unsent > MAX_BUFFERED_BYTES) {
      this.#writer.clear();
      this.destroy(new EdgeError('EDGE_ERR_CHANNEL', `the peer left ${this.#link.unsent} bytes unread`));
      return;
    }
    this.#link.write(this.#writer.take());
  }

  /** Sends one message at once, behind those that are queued. */
  send(message: Out): void {
    this.push(message);
    this.flush();
  }

  /** Sends what is queued and then our end; `then` runs once, when the kernel has it all or nobody is there to have it. */
  end(then: () => void): void {
    this.flush();
    this.#link.end(then);
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#link.destroy();
  }
}

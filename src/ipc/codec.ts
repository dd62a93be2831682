import { Packr } from 'msgpackr';
import { EdgeError } from '../errors.ts';
import { recordBytes } from './records.ts';

/** Bytes of one frame's payload at most; a length beyond it means that the stream is not ours, or out of step. */
export const MAX_FRAME_BYTES = 1 << 20;

/** Messages of one frame at most: bounds what the peer holds as an incomplete frame in the usual case. */
export const MAX_FRAME_MESSAGES = 512;

const HEADER_BYTES = 4;

/** In a header: the payload is records, not an array in msgpack. */
const RECORDS_FLAG = 0x8000_0000;

/** What is written at first, and kept between batches; a batch that needs more gets more. */
const FIRST_BYTES = 16 << 10;

// msgpackr's records would save bytes by teaching the peer each object's shape, but tuples have no shape to teach.
// Bytes within messages are copied: what they were read into is read into again.
const packr = new Packr({ useRecords: false, copyBuffers: true });

/** One frame: the payload's length (32 bits, big-endian), then a msgpack array of messages. */
export function encodeFrame(messages: readonly unknown[]): Buffer {
  const payload = packr.pack(messages);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** The frames that carry `messages` in order: one as a rule, more when they are too many or too large for one. */
export function encodeFrames(messages: readonly unknown[]): Buffer[] {
  if (messages.length <= MAX_FRAME_MESSAGES) {
    const frame = encodeFrame(messages);
    if (frame.length - HEADER_BYTES <= MAX_FRAME_BYTES || messages.length < 2) return [frame];
  }
  const half = messages.length >> 1;
  return [...encodeFrames(messages.slice(0, half)), ...encodeFrames(messages.slice(half))];
}

/** Messages of both kinds, in the order in which they are to be sent. */
export class FrameWriter {
  #view = new DataView(new ArrayBuffer(FIRST_BYTES));
  #length = 0;
  #messages: unknown[] = [];
  /** Where the frame of records that is being written has its header; -1: none is. */
  #recordsAt = -1;

  get isEmpty(): boolean {
    return this.#length === 0 && this.#messages.length === 0;
  }

  /** Where the caller writes the record that `record` made room for. */
  get view(): DataView {
    return this.#view;
  }

  message(message: unknown): void {
    this.#endRecords();
    this.#messages.push(message);
  }

  /** Makes room for a record, whose bytes are anything; returns where it begins in `view`, which may be another one then. */
  record(bytes: number): number {
    if (this.#messages.length > 0) this.#packMessages();
    if (this.#length + bytes - this.#recordsAt > MAX_FRAME_BYTES) this.#endRecords();
    this.#reserve(HEADER_BYTES + bytes);
    if (this.#recordsAt < 0) {
      this.#recordsAt = this.#length;
      this.#length += HEADER_BYTES;
    }
    const at = this.#length;
    this.#length += bytes;
    return at;
  }

  /** All frames; the writer is empty then. The bytes are its own again with its next change. */
  take(): Uint8Array {
    this.#packMessages();
    this.#endRecords();
    const frames = new Uint8Array(this.#view.buffer, 0, this.#length);
    if (this.#view.byteLength > FIRST_BYTES) this.#view = new DataView(new ArrayBuffer(FIRST_BYTES));
    this.#length = 0;
    return frames;
  }

  /** What was not taken is not sent. */
  clear(): void {
    this.#messages = [];
    this.#recordsAt = -1;
    this.#length = 0;
  }

  #packMessages(): void {
    if (this.#messages.length === 0) return;
    const messages = this.#messages;
    this.#messages = [];
    for (const frame of encodeFrames(messages)) {
      this.#reserve(frame.length);
      new Uint8Array(this.#view.buffer).set(frame, this.#length);
      this.#length += frame.length;
    }
  }

  #endRecords(): void {
    if (this.#recordsAt < 0) return;
    const length = this.#length - this.#recordsAt - HEADER_BYTES;
    this.#view.setUint32(this.#recordsAt, RECORDS_FLAG + length);
    this.#recordsAt = -1;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#view.byteLength) return;
    const larger = new ArrayBuffer(Math.max(needed, 2 * this.#view.byteLength));
    new Uint8Array(larger).set(new Uint8Array(this.#view.buffer, 0, this.#length));
    this.#view = new DataView(larger);
  }
}

const NOTHING = Buffer.alloc(0);

/** Cuts a byte stream into messages and records, in order. What was read and not taken yet stays where it is. */
export class FrameReader {
  #bytes: Buffer = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer, 0, 0);
  /** What comes next begins here. */
  #at = 0;
  /** Of the frame of records that is being read; `#at`: none is. */
  #recordsEnd = 0;
  #messages: readonly unknown[] = [];
  #nextMessage = 0;
  /** Records of no known kind, or cut short: the rest of their frame is dropped, and counts as one. */
  malformed = 0;

  /** Where the record that `next` found stands. */
  get view(): DataView {
    return this.#view;
  }

  /** The message that `next` found, unchecked. */
  message: unknown;
  /** Where the record begins that `next` found. */
  recordAt = 0;

  /** Takes what came; `chunk` must not change before `keep` is called, or `next` has taken all of it. */
  push(chunk: Buffer): void {
    const before = this.#at;
    const bytes = before === this.#bytes.length ? chunk : Buffer.concat([this.#bytes.subarray(before), chunk]);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#recordsEnd = Math.max(0, this.#recordsEnd - before);
    this.#at = 0;
  }

  /** Makes a copy of what is left of the chunks, which may change then. */
  keep(): void {
    if (this.#at === this.#bytes.length) return;
    this.push(NOTHING);
  }

  /**
   * What comes next, if it is there whole: a message, a record, or nothing.
   * @throws EDGE_ERR_CHANNEL when a frame is too large or is not an array in msgpack: the stream cannot be read on.
   */
  next(): 'message' | 'record' | null {
    for (;;) {
      if (this.#nextMessage < this.#messages.length) {
        this.message = this.#messages[this.#nextMessage++];
        return 'message';
      }
      if (this.#at < this.#recordsEnd) {
        const at = this.#at;
        const bytes = recordBytes(this.#view.getUint8(at));
        this.#at = at + bytes;
        if (bytes > 0 && this.#at <= this.#recordsEnd) {
          this.recordAt = at;
          return 'record';
        }
        this.#at = this.#recordsEnd;
        this.malformed++;
        continue;
      }
      if (!this.#openFrame()) return null;
    }
  }

  #openFrame(): boolean {
    const left = this.#bytes.length - this.#at;
    if (left < HEADER_BYTES) return false;
    const header = this.#view.getUint32(this.#at);
    const length = header >= RECORDS_FLAG ? header - RECORDS_FLAG : header;
    if (length > MAX_FRAME_BYTES) {
      throw new EdgeError('EDGE_ERR_CHANNEL', `a frame of ${length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
    }
    if (left < HEADER_BYTES + length) return false;
    const start = this.#at + HEADER_BYTES;
    if (header >= RECORDS_FLAG) {
      this.#at = start;
      this.#recordsEnd = start + length;
    } else {
      this.#messages = unpack(this.#bytes.subarray(start, start + length));
      this.#nextMessage = 0;
      this.#at = start + length;
    }
    return true;
  }
}

function unpack(payload: Buffer): unknown[] {
  let value: unknown;
  try {
    value = packr.unpack(payload);
  } catch (cause) {
    throw new EdgeError('EDGE_ERR_CHANNEL', 'a frame is not msgpack', { cause });
  }
  if (!Array.isArray(value)) throw new EdgeError('EDGE_ERR_CHANNEL', 'a frame holds no array of messages');
  return value;
}

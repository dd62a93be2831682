import { Packr } from 'msgpackr';
import { EdgeError } from '../errors.ts';

/** Bytes of one frame's payload at most; a length beyond it means that the stream is not ours, or out of step. */
export const MAX_FRAME_BYTES = 1 << 20;

/** Messages of one frame at most: bounds what the peer holds as an incomplete frame in the usual case. */
export const MAX_FRAME_MESSAGES = 512;

const LENGTH_BYTES = 4;

// Records would save bytes by teaching the peer each object's shape, but tuples have no shape to teach.
const packr = new Packr({ useRecords: false });

/** One frame: the payload's length (32 bits, big-endian), then a msgpack array of messages. */
export function encodeFrame(messages: readonly unknown[]): Buffer {
  const payload = packr.pack(messages);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + payload.length);
  frame.writeUInt32BE(payload.length);
  payload.copy(frame, LENGTH_BYTES);
  return frame;
}

/** The frames that carry `messages` in order: one as a rule, more when they are too many or too large for one. */
export function encodeFrames(messages: readonly unknown[]): Buffer[] {
  if (messages.length <= MAX_FRAME_MESSAGES) {
    const frame = encodeFrame(messages);
    if (frame.length - LENGTH_BYTES <= MAX_FRAME_BYTES || messages.length < 2) return [frame];
  }
  const half = messages.length >> 1;
  return [...encodeFrames(messages.slice(0, half)), ...encodeFrames(messages.slice(half))];
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * The messages of the frames that `chunk` completes, unchecked. `chunk` may be kept until the next call.
   * @throws EDGE_ERR_CHANNEL when a frame is too large or is not an array in msgpack: the stream cannot be read on.
   */
  decode(chunk: Buffer): unknown[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: unknown[] = [];
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > MAX_FRAME_BYTES) {
        throw new EdgeError('EDGE_ERR_CHANNEL', `a frame of ${length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
      }
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) break;
      for (const message of unpack(bytes.subarray(at + LENGTH_BYTES, end))) messages.push(message);
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return messages;
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

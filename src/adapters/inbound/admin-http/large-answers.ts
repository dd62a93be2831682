// Runs in: primary
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { sharedTurn, type Turn } from '../../../application/in-slices.ts';
import { EdgeError } from '../../../errors.ts';

/** An answer with many rows: `{...head, [name]: [...rows]}`. */
export interface Rows {
  readonly head: Readonly<Record<string, unknown>>;
  readonly name: string;
  /** Read while the answer is sent, no faster than the client takes it. */
  readonly rows: Iterable<unknown>;
}

/** Of an answer on its way, in our memory: what the stream and the socket hold before they wait for the client. */
const SENDING_BYTES = 128 << 10;
/** No defect, and told to nobody. */
const CLIENT_GONE = 499;
/** A chunk is made in one slice: a fraction of a millisecond. */
const CHUNK_BYTES = 32 << 10;

/**
 * Answers that are made and sent piece by piece. What is held for all of them together has a bound, so that clients who
 * ask for much and take nothing cannot fill the memory.
 */
export class LargeAnswers {
  readonly #maxBytes: number;
  readonly #onDefect: (error: Error) => void;
  #bytes = 0;

  /** `onDefect`: told why an answer could not be brought to its end. */
  constructor(maxBytes: number, onDefect: (error: Error) => void) {
    this.#maxBytes = maxBytes;
    this.#onDefect = onDefect;
  }

  /** Held for all answers under way. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Turns for the making of an answer. Those who ask, hang up and ask again would have us do all the work each time. */
  turnFor(reply: FastifyReply): Turn {
    return async () => {
      await sharedTurn();
      if (reply.raw.destroyed) throw Object.assign(new Error('the client is gone'), { statusCode: CLIENT_GONE });
    };
  }

  /**
   * Sends as JSON what `make` collects, which holds at most `heldBytes` until the answer is out. `make` takes its turns
   * from its argument, which fails when the client is gone.
   * @throws EDGE_ERR_OVERLOADED when too much is held already
   */
  rows(reply: FastifyReply, heldBytes: number, make: (turn: Turn) => Promise<Rows>): Promise<FastifyReply> {
    return this.#send(reply, heldBytes, 'application/json; charset=utf-8', async (turn) =>
      jsonChunks(await make(turn)),
    );
  }

  /** Sends a text that is made as it is read. */
  text(reply: FastifyReply, contentType: string, chunks: Iterable<string>): Promise<FastifyReply> {
    return this.#send(reply, 0, contentType, async () => chunks);
  }

  async #send(
    reply: FastifyReply,
    heldBytes: number,
    contentType: string,
    make: (turn: Turn) => Promise<Iterable<string>>,
  ): Promise<FastifyReply> {
    const bytes = heldBytes + SENDING_BYTES;
    if (this.#bytes + bytes > this.#maxBytes) {
      const message = 'too many large answers are under way: ask again when they are done, or for fewer rows (limit)';
      throw new EdgeError('EDGE_ERR_OVERLOADED', message);
    }
    this.#bytes += bytes;
    const turn = this.turnFor(reply);
    try {
      const chunks = await make(turn);
      const body = Readable.from(paced(chunks, turn), { objectMode: false, highWaterMark: CHUNK_BYTES });
      body.once('error', (error: Error & { statusCode?: number }) => {
        if (error.statusCode !== CLIENT_GONE) this.#onDefect(error);
      });
      body.once('close', () => {
        this.#bytes -= bytes;
      });
      return reply.header('content-type', contentType).send(body);
    } catch (error) {
      this.#bytes -= bytes;
      throw error;
    }
  }
}

async function* paced(chunks: Iterable<string>, turn: Turn): AsyncGenerator<string> {
  for (const chunk of chunks) {
    yield chunk;
    await turn();
  }
}

function* jsonChunks({ head, name, rows }: Rows): Generator<string> {
  let chunk = `${JSON.stringify({ ...head, [name]: [] }).slice(0, -2)}`;
  let separator = '';
  for (const row of rows) {
    chunk += separator + JSON.stringify(row);
    separator = ',';
    if (chunk.length < CHUNK_BYTES) continue;
    yield chunk;
    chunk = '';
  }
  yield `${chunk}]}`;
}

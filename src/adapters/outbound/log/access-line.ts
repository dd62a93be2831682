// Runs in: thread; in the primary at its end
import { connectionLine } from './human-line.ts';
import type { LineBytes } from './line-bytes.ts';
import { CLOSES, NO_NAME, type Row, WHYS } from './log-rows.ts';

export interface LineOptions {
  /** Text for people, instead of JSON. */
  readonly forPeople: boolean;
  /** Records tell the time as ISO 8601 texts, instead of as ms since 1970. */
  readonly isoTime: boolean;
  /** Of the primary. */
  readonly pid: number;
}

const part = (text: string) => Buffer.from(text);
const quoted = (words: readonly string[], before: string, after: string) =>
  new Map(words.map((word) => [word, part(`${before}${word}${after}`)]));

const CLIENT = part(',"client":"');
const COUNTRY = part('","country":"');
const NO_COUNTRY = part('","country":null');
const WHY_BY_WORD = quoted(WHYS, ',"why":"', '"');
const CLOSE_BY_WORD = quoted(CLOSES, ',"close":"', '","attempts":');
const QUOTE = part('"');
const PICK_MS = part(',"pickMs":');
const CONNECT_MS = part(',"connectMs":');
const TOTAL_MS = part(',"totalMs":');
const TO_BACKEND = part(',"bytesToBackend":');
const TO_CLIENT = part(',"bytesToClient":');
const TRIED = part(',"tried":');
const VERSION = part(',"routingVersion":');
const END = part(',"msg":"connection"}\n');
const BACKEND_NULL = part(',"backend":null');

/** Makes lines of rows. */
export class AccessLines {
  readonly #options: LineOptions;
  readonly #names: string[] = [];
  /** `,"listener":"..."` and `,"backend":"..."`, by the number of the name. */
  readonly #listeners: Buffer[] = [];
  readonly #backends: Buffer[] = [];
  readonly #begin = part('{"level":"info","time":');
  readonly #pid: Buffer;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#pid = part(`,"pid":${options.pid}`);
  }

  /** Rows name `text` by this number from now on. */
  name(number: number, text: string): void {
    this.#names[number] = text;
    this.#listeners[number] = part(`,"listener":${JSON.stringify(text)}`);
    this.#backends[number] = part(`,"backend":${JSON.stringify(text)}`);
  }

  /** Adds the row's line to `out`, without ending it there. */
  add(row: Row, out: LineBytes): void {
    if (this.#options.forPeople) out.text(this.#lineForPeople(row));
    else this.#addJson(row, out);
  }

  #lineForPeople(row: Row): string {
    const backend = row.backend === NO_NAME ? null : this.#names[row.backend]!;
    return connectionLine({ ...row, backend, tried: triedOf(row.tried) }, new Date(row.time));
  }

  /**
   * The line that pino would write. It is written for every connection, and pino's own way to it, which has to cope with
   * any value, takes twenty times as long. What is not quoted here is a number, a word of ours, or an address in its normal
   * form.
   */
  #addJson(row: Row, out: LineBytes): void {
    out.part(this.#begin);
    if (this.#options.isoTime) out.text(`"${new Date(row.time).toISOString()}"`);
    else out.number(row.time);
    out.part(this.#pid);
    out.part(CLIENT);
    out.text(row.client.text);
    if (row.country === null) {
      out.part(NO_COUNTRY);
    } else {
      out.part(COUNTRY);
      out.text(row.country);
      out.part(QUOTE);
    }
    out.part(this.#listeners[row.listener]!);
    out.part(row.backend === NO_NAME ? BACKEND_NULL : this.#backends[row.backend]!);
    out.part(WHY_BY_WORD.get(row.why)!);
    out.part(CLOSE_BY_WORD.get(row.close)!);
    out.number(row.attempts);
    out.part(PICK_MS);
    out.milliseconds(row.pickMs);
    out.part(CONNECT_MS);
    out.milliseconds(row.connectMs);
    out.part(TOTAL_MS);
    out.milliseconds(row.totalMs);
    out.part(TO_BACKEND);
    out.number(row.bytesToBackend);
    out.part(TO_CLIENT);
    out.number(row.bytesToClient);
    if (row.tried !== '') {
      out.part(TRIED);
      out.text(row.tried);
    }
    out.part(VERSION);
    out.number(row.routingVersion);
    out.part(END);
  }
}

type Tried = readonly { readonly backend: string; readonly code: string; readonly ms: number }[];

function triedOf(json: string): Tried {
  return json === '' ? [] : (JSON.parse(json) as Tried);
}

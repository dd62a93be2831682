import type { Backend } from './entities.ts';
import { hashText } from './hash.ts';
import { REGIONS } from './value-objects.ts';

/** A row that cannot serve, and why. Text is cut short: it is the operator's, but may be anything. */
export interface RowProblem {
  readonly id: string;
  readonly column: string;
  readonly value: string;
  readonly expected: string;
}

/** What every form of a table says beside its rows. */
export interface TableContent {
  /** How many. */
  readonly rows: number;
  /** Equal for equal contents, whatever the order of rows in the file. */
  readonly contentHash: string;
  /** At most MAX_NAMED_PROBLEMS of the rows that were skipped. */
  readonly problems: readonly RowProblem[];
  readonly problemCount: number;
}

/**
 * A routing table in columns of typed arrays: made in a thread, moved to the primary without copying, and opened there
 * in slices. 100,000 row objects would block the primary's loop for longer than a client should wait.
 */
export interface TableImage extends TableContent {
  /** UTF-8 of every row's id, one behind the other; `idEnd[i]` is where row i's ends. */
  readonly ids: Uint8Array;
  readonly idEnd: Uint32Array;
  /** The same for hosts, which are ASCII. */
  readonly hosts: Uint8Array;
  readonly hostEnd: Uint32Array;
  /** Row -> position in `apps`. */
  readonly app: Uint32Array;
  readonly apps: readonly string[];
  /** Row -> position in REGIONS. */
  readonly region: Uint8Array;
  /** Row -> position in `countries`; 0 is unknown. */
  readonly country: Uint16Array;
  readonly countries: readonly string[];
  readonly port: Uint16Array;
  readonly weight: Uint16Array;
  readonly softLimit: Uint32Array;
  readonly hardLimit: Uint32Array;
  /** 1 healthy, 2 deleted */
  readonly flags: Uint8Array;
  /** Row numbers in ring order: ascending by the hashes of the ids, equal hashes by id. */
  readonly ring: Uint32Array;
}

export const MAX_NAMED_PROBLEMS = 20;
const FLAG_HEALTHY = 1;
const FLAG_DELETED = 2;

/** Builds the image of `backends`, which must have distinct ids. */
export function buildTableImage(backends: readonly Backend[], problems: readonly RowProblem[] = []): TableImage {
  const rows = inOrder(backends);
  return imageOf(rows, {
    rows: rows.length,
    contentHash: hashRows(rows),
    problems: problems.slice(0, MAX_NAMED_PROBLEMS),
    problemCount: problems.length,
  });
}

/** Ascending by id: one order for one content, and with it one content hash, whatever the order of rows in the file. */
export function inOrder(backends: readonly Backend[]): readonly Backend[] {
  return [...backends].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The image of `rows`, which are in order and what `content` is said of. */
export function imageOf(rows: readonly Backend[], content: TableContent): TableImage {
  const ids = packTexts(rows.map((row) => row.id));
  const hosts = packTexts(rows.map((row) => row.host));
  const apps = new Dictionary();
  const hashes = Uint32Array.from(rows, (row) => hashText(row.id));
  const countries = new Dictionary(['']);
  return {
    ...content,
    ids: ids.bytes,
    idEnd: ids.ends,
    hosts: hosts.bytes,
    hostEnd: hosts.ends,
    app: Uint32Array.from(rows, (row) => apps.indexOf(row.app)),
    apps: apps.words,
    region: Uint8Array.from(rows, (row) => REGIONS.indexOf(row.region)),
    country: Uint16Array.from(rows, (row) => countries.indexOf(row.country ?? '')),
    countries: countries.words,
    port: Uint16Array.from(rows, (row) => row.port),
    weight: Uint16Array.from(rows, (row) => row.weight),
    softLimit: Uint32Array.from(rows, (row) => row.softLimit),
    hardLimit: Uint32Array.from(rows, (row) => row.hardLimit),
    flags: Uint8Array.from(rows, (row) => (row.healthy ? FLAG_HEALTHY : 0) | (row.deleted ? FLAG_DELETED : 0)),
    ring: Uint32Array.from(rows.keys()).sort((a, b) => hashes[a]! - hashes[b]! || a - b),
  };
}

/** Row i. */
export function rowAt(image: TableImage, i: number): Backend {
  const flags = image.flags[i]!;
  return {
    id: textAt(image.ids, image.idEnd, i),
    app: image.apps[image.app[i]!]!,
    region: REGIONS[image.region[i]!]!,
    country: image.countries[image.country[i]!] || null,
    host: textAt(image.hosts, image.hostEnd, i),
    port: image.port[i]!,
    healthy: (flags & FLAG_HEALTHY) !== 0,
    weight: image.weight[i]!,
    softLimit: image.softLimit[i]!,
    hardLimit: image.hardLimit[i]!,
    deleted: (flags & FLAG_DELETED) !== 0,
  };
}

/** The buffers of an image, for moving it between threads without a copy. */
export function transferables(image: TableImage): ArrayBuffer[] {
  const columns = [
    image.ids,
    image.idEnd,
    image.hosts,
    image.hostEnd,
    image.app,
    image.region,
    image.country,
    image.port,
    image.weight,
    image.softLimit,
    image.hardLimit,
    image.flags,
    image.ring,
  ];
  return columns.map((column) => column.buffer as ArrayBuffer);
}

// A byte order mark is a character of an id like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function textAt(bytes: Uint8Array, ends: Uint32Array, row: number): string {
  return decoder.decode(bytes.subarray(row === 0 ? 0 : ends[row - 1]!, ends[row]!));
}

function packTexts(texts: readonly string[]): { bytes: Uint8Array; ends: Uint32Array } {
  const encoder = new TextEncoder();
  const parts = texts.map((text) => encoder.encode(text));
  const ends = new Uint32Array(parts.length);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  parts.forEach((part, i) => {
    bytes.set(part, at);
    at += part.length;
    ends[i] = at;
  });
  return { bytes, ends };
}

/** Two 32-bit FNV-1a runs of different start: 64 bits, enough to tell one version from the one before it. */
export function hashRows(rows: readonly Backend[]): string {
  let a = 0x811c9dc5;
  let b = 0x01234567;
  for (const row of rows) {
    const text = JSON.stringify([
      row.id,
      row.app,
      row.region,
      row.country,
      row.host,
      row.port,
      row.healthy,
      row.weight,
      row.softLimit,
      row.hardLimit,
      row.deleted,
    ]);
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(b ^ unit, 0x01000197);
    }
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
}

class Dictionary {
  readonly words: string[];
  readonly #index: Map<string, number>;

  constructor(words: readonly string[] = []) {
    this.words = [...words];
    this.#index = new Map(words.map((word, i) => [word, i]));
  }

  indexOf(word: string): number {
    let at = this.#index.get(word);
    if (at === undefined) {
      at = this.words.push(word) - 1;
      this.#index.set(word, at);
    }
    return at;
  }
}

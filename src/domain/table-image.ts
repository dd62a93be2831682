import type { Backend, Listener } from './entities.ts';
import { hashText } from './hash.ts';
import { REGIONS } from './value-objects.ts';

/** A row that cannot serve, and why. Text is cut short: it is the operator's, but may be anything. */
export interface RowProblem {
  readonly id: string;
  readonly column: string;
  readonly value: string;
  readonly expected: string;
}

/**
 * Backends that compete in one tier for one app. `slots` are row numbers in ring order: ascending `ringHash`, equal
 * hashes by id. Rows that can never be picked while this table serves (unhealthy, deleted, weight 0) are not in it.
 */
export interface GroupImage {
  /** `''`: the group of the listeners that take any app. */
  readonly app: string;
  /** `*` all, `r:eu` a region, `c:DE` a country. */
  readonly scope: string;
  readonly slots: Uint32Array;
}

/**
 * A routing table in columns of typed arrays: made in a thread, moved to the primary without copying, and opened there
 * in slices. 100,000 row objects would block the primary's loop for longer than a client should wait.
 */
export interface TableImage {
  readonly rows: number;
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
  /** Row -> hash of its id: its place on the ring. */
  readonly ringHash: Uint32Array;
  readonly groups: readonly GroupImage[];
  /** Equal for equal contents, whatever the order of rows in the file. */
  readonly contentHash: string;
  /** At most MAX_NAMED_PROBLEMS of the rows that were skipped. */
  readonly problems: readonly RowProblem[];
  readonly problemCount: number;
}

export const MAX_NAMED_PROBLEMS = 20;
export const FLAG_HEALTHY = 1;
export const FLAG_DELETED = 2;

/** Builds the image of `backends` for the apps that the listeners serve. `backends` must have distinct ids. */
export function buildTableImage(
  backends: readonly Backend[],
  listeners: readonly Pick<Listener, 'app'>[],
  problems: readonly RowProblem[] = [],
): TableImage {
  // One order for one content: slots, and with them the content hash, do not depend on the file's row order.
  const rows = [...backends].sort((a, b) => (a.id < b.id ? -1 : 1));
  const size = rows.length;
  const ids = packTexts(rows.map((row) => row.id));
  const hosts = packTexts(rows.map((row) => row.host));
  const apps = new Dictionary();
  const countries = new Dictionary(['']);
  const image = {
    rows: size,
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
    ringHash: Uint32Array.from(rows, (row) => hashText(row.id)),
    problems: problems.slice(0, MAX_NAMED_PROBLEMS),
    problemCount: problems.length,
  };
  return { ...image, groups: buildGroups(rows, image.ringHash, listeners), contentHash: hashRows(rows) };
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
    image.ringHash,
    ...image.groups.map((group) => group.slots),
  ];
  return columns.map((column) => column.buffer as ArrayBuffer);
}

/** Whether a row may ever be picked for a first connection while this table serves. */
export function isServing(row: Pick<Backend, 'healthy' | 'deleted' | 'weight'>): boolean {
  return row.healthy && !row.deleted && row.weight > 0;
}

function buildGroups(
  rows: readonly Backend[],
  ringHash: Uint32Array,
  listeners: readonly Pick<Listener, 'app'>[],
): GroupImage[] {
  const served = new Set(listeners.map((listener) => listener.app));
  const ring = Uint32Array.from(rows.keys()).sort((a, b) => ringHash[a]! - ringHash[b]! || a - b);
  const members = new Map<string, { app: string; scope: string; slots: number[] }>();
  for (const slot of ring) {
    const row = rows[slot]!;
    if (!isServing(row)) continue;
    for (const app of row.app === '' ? [''] : [row.app, '']) {
      if (!served.has(app)) continue;
      const scopes = ['*', `r:${row.region}`, ...(row.country === null ? [] : [`c:${row.country}`])];
      for (const scope of scopes) {
        const name = `${app}\n${scope}`;
        let group = members.get(name);
        if (group === undefined) {
          group = { app, scope, slots: [] };
          members.set(name, group);
        }
        group.slots.push(slot);
      }
    }
  }
  return [...members.values()].map(({ app, scope, slots }) => ({ app, scope, slots: Uint32Array.from(slots) }));
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
function hashRows(rows: readonly Backend[]): string {
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

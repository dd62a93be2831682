import type { Backend } from './entities.ts';
import { FLAG_DELETED, FLAG_HEALTHY, type GroupImage, type TableImage } from './table-image.ts';
import { REGIONS, type RegionCode } from './value-objects.ts';

/** Rows that are opened before `openRoutingTable` yields: a fraction of a millisecond. */
const SLICE_ROWS = 2000;

/**
 * An immutable snapshot of the backends. Rows are numbered by slots 0..size-1 in ascending order of id; a slot means
 * nothing outside its own table, an id does.
 */
export class RoutingTable {
  /** Goes up when the content changed, from 1. 0 is the empty table before the first load. */
  readonly version: number;
  readonly #image: TableImage;
  readonly #ids: readonly string[];
  readonly #slots: ReadonlyMap<string, number>;
  readonly #backends: (Backend | undefined)[] = [];
  readonly #serving: ReadonlySet<string>;

  constructor(version: number, image: TableImage, ids: readonly string[], slots: ReadonlyMap<string, number>) {
    this.version = version;
    this.#image = image;
    this.#ids = ids;
    this.#slots = slots;
    this.#serving = new Set(image.groups.map((group) => `${group.app}\n${group.scope}`));
  }

  get size(): number {
    return this.#image.rows;
  }

  get contentHash(): string {
    return this.#image.contentHash;
  }

  get groups(): readonly GroupImage[] {
    return this.#image.groups;
  }

  /** -1 when there is no such backend. */
  slotOf(id: string): number {
    return this.#slots.get(id) ?? -1;
  }

  /** The first slot whose id comes behind `id`, whether there is such a backend or not; `size` when there is none. */
  slotBehind(id: string): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ids[middle]! <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  idOf(slot: number): string {
    return this.#ids[slot]!;
  }

  find(id: string): Backend | undefined {
    const slot = this.slotOf(id);
    return slot < 0 ? undefined : this.backend(slot);
  }

  /** Made on first use: most rows of a large table are never looked at. */
  backend(slot: number): Backend {
    const made = this.#backends[slot];
    if (made !== undefined) return made;
    const image = this.#image;
    const flags = image.flags[slot]!;
    const backend: Backend = {
      id: this.#ids[slot]!,
      app: image.apps[image.app[slot]!]!,
      region: REGIONS[image.region[slot]!]!,
      country: image.countries[image.country[slot]!] || null,
      host: textAt(image.hosts, image.hostEnd, slot),
      port: image.port[slot]!,
      healthy: (flags & FLAG_HEALTHY) !== 0,
      weight: image.weight[slot]!,
      softLimit: image.softLimit[slot]!,
      hardLimit: image.hardLimit[slot]!,
      deleted: (flags & FLAG_DELETED) !== 0,
    };
    this.#backends[slot] = backend;
    return backend;
  }

  /** Whether a row of this table holds what a row of `other` holds. No objects are made for it. */
  hasSameRow(slot: number, other: RoutingTable, otherSlot: number): boolean {
    const [mine, theirs] = [this.#image, other.#image];
    return (
      mine.flags[slot] === theirs.flags[otherSlot] &&
      mine.port[slot] === theirs.port[otherSlot] &&
      mine.weight[slot] === theirs.weight[otherSlot] &&
      mine.softLimit[slot] === theirs.softLimit[otherSlot] &&
      mine.hardLimit[slot] === theirs.hardLimit[otherSlot] &&
      mine.region[slot] === theirs.region[otherSlot] &&
      mine.apps[mine.app[slot]!] === theirs.apps[theirs.app[otherSlot]!] &&
      mine.countries[mine.country[slot]!] === theirs.countries[theirs.country[otherSlot]!] &&
      textAt(mine.hosts, mine.hostEnd, slot) === textAt(theirs.hosts, theirs.hostEnd, otherSlot)
    );
  }

  ringHash(slot: number): number {
    return this.#image.ringHash[slot]!;
  }

  /** Whether a backend of `region` serves `app` (`''`: any app). */
  hasServing(app: string, region?: RegionCode): boolean {
    return this.#serving.has(`${app}\n${region === undefined ? '*' : `r:${region}`}`);
  }
}

/** Opens an image in slices: yields every fraction of a millisecond, so that its caller may let others run. */
export function* openRoutingTable(version: number, image: TableImage): Generator<void, RoutingTable> {
  const ids: string[] = [];
  const slots = new Map<string, number>();
  for (let slot = 0; slot < image.rows; slot++) {
    const id = textAt(image.ids, image.idEnd, slot);
    ids.push(id);
    slots.set(id, slot);
    if (slot % SLICE_ROWS === SLICE_ROWS - 1) yield;
  }
  return new RoutingTable(version, image, ids, slots);
}

// A byte order mark is a character of an id like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function textAt(bytes: Uint8Array, ends: Uint32Array, row: number): string {
  return decoder.decode(bytes.subarray(row === 0 ? 0 : ends[row - 1]!, ends[row]!));
}

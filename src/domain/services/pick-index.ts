import type { RoutingTable } from '../routing-table.ts';
import type { GroupImage } from '../table-image.ts';
import type { CountryCode, RegionCode } from '../value-objects.ts';
import { isFull, loadTerm, type PickClient, preferredRegion, TIE_WINDOW, TIERS, tieBreak } from './load-balancer.ts';
import { MinRing } from './min-ring.ts';

/** Members that are entered before `build` yields: a fraction of a millisecond. */
const SLICE_MEMBERS = 4000;

const NOBODY: readonly number[] = [];

/** The backends of one tier for one app, in ring order. */
interface Group {
  readonly slots: Uint32Array;
  /** Position -> ring hash, ascending. */
  readonly hashes: Uint32Array;
  /** Position -> load, Infinity for a full backend. */
  readonly loads: MinRing;
}

interface AppGroups {
  all: Group | undefined;
  readonly regions: Map<string, Group>;
  readonly countries: Map<CountryCode, Group>;
}

/** For one kind of group, of which a slot is in at most one: the group that it is in, and where. */
class Memberships {
  readonly groups: Group[] = [];
  /** Slot -> position in `groups` + 1; 0: in none. */
  readonly groupOf: Uint32Array;
  readonly positionOf: Uint32Array;

  constructor(slots: number) {
    this.groupOf = new Uint32Array(slots);
    this.positionOf = new Uint32Array(slots);
  }
}

/**
 * Answers what `scanPick` answers, in O(log backends): each tier's candidates are a group that knows its least loaded
 * members, kept true by `connectionsChanged`. A tier is asked only after the better ones came up empty, so it does not
 * matter that a later group (all backends) contains the earlier ones (a country's).
 */
export class PickIndex {
  readonly #table: RoutingTable;
  readonly #apps = new Map<string, AppGroups>();
  /** By kind of group: (its own app, any app) x (all, region, country). */
  readonly #memberships: readonly Memberships[];

  constructor(table: RoutingTable) {
    this.#table = table;
    this.#memberships = Array.from({ length: 6 }, () => new Memberships(table.size));
  }

  /**
   * Enters every backend with its current count; yields between slices. Counts may change between them, and must be
   * told to `connectionsChanged` from the first slice on.
   */
  *build(connections: (id: string) => number): Generator<void, void> {
    for (const image of this.#table.groups) yield* this.#enter(image, connections);
  }

  connectionsChanged(id: string, connections: number): void {
    const slot = this.#table.slotOf(id);
    if (slot >= 0) this.#setLoad(slot, this.#load(slot, connections));
  }

  /** The slot that `scanPick` names, or -1. `tried` are ids. */
  pick(client: PickClient, popRegion: RegionCode, tried: readonly string[]): number {
    return this.#without(tried, () => {
      for (let tier = 0; tier < TIERS; tier++) {
        const picked = pickFrom(this.#group(client, popRegion, tier), client.hash);
        if (picked >= 0) return picked;
      }
      return -1;
    });
  }

  /** Whether `pick` passes over a tier because what is left of it is full; also when it finds none for that reason. */
  passesFull(client: PickClient, popRegion: RegionCode, tried: readonly string[]): boolean {
    return this.#without(tried, (absent) => {
      for (let tier = 0; tier < TIERS; tier++) {
        const group = this.#group(client, popRegion, tier);
        if (group === undefined) continue;
        if (group.loads.min < Infinity) return false;
        if (group.slots.length > absent.filter((slot) => this.#isIn(slot, group)).length) return true;
      }
      return false;
    });
  }

  /** Takes those that were tried out of their groups while `look` looks, which keeps one way to look. */
  #without<T>(tried: readonly string[], look: (absent: readonly number[]) => T): T {
    if (tried.length === 0) return look(NOBODY);
    const absent = [...new Set(tried)].map((id) => this.#table.slotOf(id)).filter((slot) => slot >= 0);
    const loads = absent.map((slot) => this.#setLoad(slot, Infinity));
    const seen = look(absent);
    absent.forEach((slot, i) => void this.#setLoad(slot, loads[i]!));
    return seen;
  }

  /** The candidates of a tier: 0 country, 1 preferred region, 2 the POP's region, 3 all. */
  #group({ app, geo }: PickClient, popRegion: RegionCode, tier: number): Group | undefined {
    const groups = this.#apps.get(app);
    if (groups === undefined) return undefined;
    const { regions, countries, all } = groups;
    if (tier === 0) return geo === null ? undefined : countries.get(geo.country);
    if (tier === 2) return regions.get(popRegion);
    if (tier === 3) return all;
    const preferred = preferredRegion(geo, (region) => regions.has(region));
    return preferred === null ? undefined : regions.get(preferred);
  }

  #isIn(slot: number, group: Group): boolean {
    return this.#memberships.some(({ groups, groupOf }) => groups[groupOf[slot]! - 1] === group);
  }

  *#enter(image: GroupImage, connections: (id: string) => number): Generator<void, void> {
    const { slots } = image;
    const group: Group = { slots, hashes: new Uint32Array(slots.length), loads: new MinRing(slots.length) };
    const kind = this.#addGroup(image, group);
    const { groupOf, positionOf } = kind;
    const number = kind.groups.push(group);
    for (let position = 0; position < slots.length; position++) {
      const slot = slots[position]!;
      group.hashes[position] = this.#table.ringHash(slot);
      groupOf[slot] = number;
      positionOf[slot] = position;
      const count = connections(this.#table.idOf(slot));
      if (count > 0) group.loads.set(position, this.#load(slot, count));
      if (position % SLICE_MEMBERS === SLICE_MEMBERS - 1) yield;
    }
    yield;
  }

  #addGroup({ app, scope }: GroupImage, group: Group): Memberships {
    let groups = this.#apps.get(app);
    if (groups === undefined) {
      groups = { all: undefined, regions: new Map(), countries: new Map() };
      this.#apps.set(app, groups);
    }
    const first = app === '' ? 3 : 0;
    if (scope === '*') {
      groups.all = group;
      return this.#memberships[first]!;
    }
    const name = scope.slice(2);
    if (scope.startsWith('r:')) {
      groups.regions.set(name, group);
      return this.#memberships[first + 1]!;
    }
    groups.countries.set(name, group);
    return this.#memberships[first + 2]!;
  }

  #load(slot: number, connections: number): number {
    const backend = this.#table.backend(slot);
    return isFull(connections, backend) ? Infinity : loadTerm(connections, backend);
  }

  /** Returns the load before; Infinity for a slot that is in no group. */
  #setLoad(slot: number, load: number): number {
    let before = Infinity;
    for (const { groups, groupOf, positionOf } of this.#memberships) {
      const number = groupOf[slot]!;
      if (number === 0) continue;
      const { loads } = groups[number - 1]!;
      const position = positionOf[slot]!;
      before = loads.get(position);
      loads.set(position, load);
    }
    return before;
  }
}

/** The winner among the least loaded members of a group: see `tieBreak`. -1 when all are full. */
function pickFrom(group: Group | undefined, clientHash: number): number {
  if (group === undefined || group.loads.min === Infinity) return -1;
  const { slots, hashes, loads } = group;
  const least = loads.min;
  const start = lowerBound(hashes, clientHash);
  let winner = -1;
  let lowest = Infinity;
  let wrapped = false;
  let at = loads.next(start, least);
  for (let seen = 0; seen < TIE_WINDOW; seen++) {
    if (at < 0 && !wrapped) {
      wrapped = true;
      at = loads.next(0, least);
    }
    if (at < 0 || (wrapped && at >= start)) break;
    const draw = tieBreak(clientHash, hashes[at]!);
    if (draw < lowest) {
      lowest = draw;
      winner = at;
    }
    at = loads.next(at + 1, least);
  }
  return slots[winner]!;
}

/** The first position whose hash is at least `hash`; `hashes.length` when there is none. */
function lowerBound(hashes: Uint32Array, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

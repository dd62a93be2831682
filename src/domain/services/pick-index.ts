import type { Backend } from '../entities.ts';
import { hashText } from '../hash.ts';
import type { CountryCode, RegionCode } from '../value-objects.ts';
import { isFull, loadTerm, type PickClient, preferredRegion, TIERS } from './load-balancer.ts';
import { type Bucket, RingGroup, type Seat } from './ring-group.ts';

const NO_BUCKETS: readonly Bucket[] = [];

/** A backend of the table, and what changes about it between two versions of its row. */
interface IndexedSeat extends Seat {
  row: Backend;
  /** The row's, here because each change of a count reads them. */
  readonly softLimit: number;
  readonly hardLimit: number;
  /** The row's, until somebody sets another. */
  weight: number;
  /** Somebody found it down, whatever its row says. */
  isDown: boolean;
  /** It takes new clients, if it is not full. */
  isUp: boolean;
}

interface AppGroups {
  readonly all: RingGroup;
  readonly regions: Map<string, RingGroup>;
  readonly countries: Map<CountryCode, RingGroup>;
  /** Whether a backend of a region serves the app. Here once, as each pick asks. */
  readonly serves: (region: RegionCode) => boolean;
}

/**
 * Answers what `scanPick` answers, in O(log backends): each tier's candidates are a group that knows its least loaded
 * members. Every row that is not deleted is a member; what is up is a matter of the moment. A tier is asked only after
 * the better ones came up empty, so it does not matter that a later group (all backends) contains the earlier ones (a
 * country's).
 */
export class PickIndex {
  readonly #apps: ReadonlyMap<string, AppGroups>;
  readonly #connections: (slot: number) => number;
  readonly #seats: (IndexedSeat | undefined)[];

  /**
   * @param apps those that listeners have; `''`: any app
   * @param connections the count of a slot now; each change of it is told to `setLoad`
   * @param slots how many are expected
   */
  constructor(apps: Iterable<string>, connections: (slot: number) => number, slots = 0) {
    this.#seats = new Array<IndexedSeat | undefined>(slots).fill(undefined);
    this.#apps = new Map(
      Array.from(apps, (app): [string, AppGroups] => {
        const serves = (region: RegionCode) => this.hasServing(app, region);
        return [app, { all: this.#newGroup(), regions: new Map(), countries: new Map(), serves }];
      }),
    );
    this.#connections = connections;
  }

  /** Enters a row, or writes the one at `slot` anew: its weight is the row's again, and who set it down still holds it down. */
  put(slot: number, row: Backend): void {
    const before = this.#seats[slot];
    if (before !== undefined) this.#leave(before);
    const { id, weight, softLimit, hardLimit } = row;
    const seat: IndexedSeat = {
      slot,
      id,
      hash: hashText(id),
      buckets: NO_BUCKETS,
      row,
      softLimit,
      hardLimit,
      weight,
      isDown: before?.isDown ?? false,
      isUp: false,
    };
    seat.isUp = isUp(seat);
    // An array that is written far behind its end becomes a slow one.
    while (this.#seats.length <= slot) this.#seats.push(undefined);
    this.#seats[slot] = seat;
    if (row.deleted) return;
    const buckets: Bucket[] = [];
    const load = this.#loadOf(seat);
    if (row.app !== '') this.#enter(seat, load, row.app, buckets);
    this.#enter(seat, load, '', buckets);
    // Without the room that arrays make for more: there are as many seats as rows.
    seat.buckets = buckets.slice();
  }

  /** Like `put`, for a row of a table whose index `other` knows what was set since. */
  putAsIn(other: PickIndex, slot: number, row: Backend): void {
    this.put(slot, row);
    const theirs = other.#seats[slot];
    if (theirs?.isDown) this.setUp(slot, false);
    if (theirs?.row === row && theirs.weight !== row.weight) this.setWeight(slot, theirs.weight);
  }

  remove(slot: number): void {
    const seat = this.#seats[slot];
    if (seat === undefined) return;
    this.#leave(seat);
    this.#seats[slot] = undefined;
  }

  /** One that is found down takes no new clients until it is found up, for as long as it has a row. */
  setUp(slot: number, isUp: boolean): void {
    const seat = this.#seats[slot];
    if (seat === undefined) return;
    seat.isDown = !isUp;
    this.#judge(seat);
  }

  /** Until its row is written again. 0 takes no new clients. */
  setWeight(slot: number, weight: number): void {
    const seat = this.#seats[slot];
    if (seat === undefined) return;
    seat.weight = weight;
    this.#judge(seat);
  }

  /** Of a slot that has no row, it changes nothing. */
  setLoad(slot: number, connections: number): void {
    const seat = this.#seats[slot];
    if (seat?.isUp) place(seat, loadOf(seat, connections));
  }

  /** Whether a backend of `region` serves `app` (`''`: any app). Full ones do. */
  hasServing(app: string, region?: RegionCode): boolean {
    const groups = this.#apps.get(app);
    const group = region === undefined ? groups?.all : groups?.regions.get(region);
    return group !== undefined && group.up > 0;
  }

  /** The slot that `scanPick` names, or -1. */
  pick(client: PickClient, popRegion: RegionCode, tried: readonly number[]): number {
    if (tried.length === 0) return this.#pick(client, popRegion);
    return this.#without(tried, () => this.#pick(client, popRegion));
  }

  #pick(client: PickClient, popRegion: RegionCode): number {
    for (let tier = 0; tier < TIERS; tier++) {
      const picked = this.#group(client, popRegion, tier)?.pick(client.hash) ?? -1;
      if (picked >= 0) return picked;
    }
    return -1;
  }

  /** Whether `pick` passes over a tier because what is left of it is full; also when it finds none for that reason. */
  passesFull(client: PickClient, popRegion: RegionCode, tried: readonly number[]): boolean {
    if (tried.length === 0) return this.#passesFull(client, popRegion, tried);
    return this.#without(tried, (absent) => this.#passesFull(client, popRegion, absent));
  }

  #passesFull(client: PickClient, popRegion: RegionCode, absent: readonly number[]): boolean {
    for (let tier = 0; tier < TIERS; tier++) {
      const group = this.#group(client, popRegion, tier);
      if (group === undefined) continue;
      if (group.min < Infinity) return false;
      if (group.up > this.#upAmong(absent, group)) return true;
    }
    return false;
  }

  /** Takes those that were tried out of their groups while `look` looks, which keeps one way to look. */
  #without<T>(tried: readonly number[], look: (absent: readonly number[]) => T): T {
    const seats = [...new Set(tried)].flatMap((slot) => this.#seats[slot] ?? []);
    const loads = seats.map((seat) => place(seat, Infinity));
    const seen = look(seats.map(({ slot }) => slot));
    seats.forEach((seat, i) => void place(seat, loads[i]!));
    return seen;
  }

  /** The candidates of a tier: 0 country, 1 preferred region, 2 the POP's region, 3 all. */
  #group({ app, geo }: PickClient, popRegion: RegionCode, tier: number): RingGroup | undefined {
    const groups = this.#apps.get(app);
    if (groups === undefined) return undefined;
    const { regions, countries, all, serves } = groups;
    if (tier === 0) return geo === null ? undefined : countries.get(geo.country);
    if (tier === 2) return regions.get(popRegion);
    if (tier === 3) return all;
    const preferred = preferredRegion(geo, serves);
    return preferred === null ? undefined : regions.get(preferred);
  }

  /** How many of `slots` are up in a group. */
  #upAmong(slots: readonly number[], group: RingGroup): number {
    let up = 0;
    for (const slot of slots) {
      const seat = this.#seats[slot]!;
      if (seat.isUp && seat.buckets.some((bucket) => bucket.group === group)) up++;
    }
    return up;
  }

  #enter(seat: IndexedSeat, load: number, app: string, buckets: Bucket[]): void {
    const groups = this.#apps.get(app);
    if (groups === undefined) return;
    const { region, country } = seat.row;
    this.#join(seat, load, groups.all, buckets);
    this.#join(seat, load, this.#groupOf(groups.regions, region), buckets);
    if (country !== null) this.#join(seat, load, this.#groupOf(groups.countries, country), buckets);
  }

  #join(seat: IndexedSeat, load: number, group: RingGroup, buckets: Bucket[]): void {
    buckets.push(group.add(seat, load));
    if (seat.isUp) group.up++;
  }

  #leave(seat: IndexedSeat): void {
    for (const bucket of seat.buckets) {
      if (seat.isUp) bucket.group.up--;
      bucket.group.remove(bucket, seat);
    }
    seat.buckets = NO_BUCKETS;
  }

  #groupOf(groups: Map<string, RingGroup>, name: string): RingGroup {
    let group = groups.get(name);
    if (group === undefined) {
      group = this.#newGroup();
      groups.set(name, group);
    }
    return group;
  }

  #newGroup(): RingGroup {
    return new RingGroup((slot) => this.#seats[slot]!);
  }

  /** After a change of what makes it up, or of its weight. */
  #judge(seat: IndexedSeat): void {
    const is = isUp(seat);
    if (is !== seat.isUp) for (const { group } of seat.buckets) group.up += is ? 1 : -1;
    seat.isUp = is;
    place(seat, this.#loadOf(seat));
  }

  #loadOf(seat: IndexedSeat): number {
    return seat.isUp ? loadOf(seat, this.#connections(seat.slot)) : Infinity;
  }
}

function isUp({ row, weight, isDown }: IndexedSeat): boolean {
  return row.healthy && !row.deleted && !isDown && weight > 0;
}

function loadOf(seat: IndexedSeat, connections: number): number {
  return isFull(connections, seat) ? Infinity : loadTerm(connections, seat);
}

/** Returns the load before; Infinity for one that is in no group. */
function place(seat: Seat, load: number): number {
  const { buckets } = seat;
  let before = Infinity;
  for (let i = 0; i < buckets.length; i++) {
    const bucket: Bucket = buckets[i]!;
    before = bucket.group.setLoad(bucket, seat, load);
  }
  return before;
}

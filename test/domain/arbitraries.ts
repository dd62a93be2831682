import fc from 'fast-check';
import { ClientAddress } from '../../src/domain/client-address.ts';
import type { Backend, Listener } from '../../src/domain/entities.ts';
import { openRoutingTable, type RoutingTable } from '../../src/domain/routing-table.ts';
import { PickIndex } from '../../src/domain/services/pick-index.ts';
import { buildTableImage } from '../../src/domain/table-image.ts';
import { REGIONS } from '../../src/domain/value-objects.ts';

/** Ids whose 32-bit ring hashes are equal: two backends at one place of the ring. */
export const COLLIDING_IDS = ['nqdysq4gs5hls', 'n143e0iojz0mio'] as const;

const COUNTRIES = ['BR', 'US', 'DE', 'EG', null] as const;

export interface TableShape {
  readonly minRows?: number;
  readonly maxRows?: number;
  readonly apps?: readonly string[];
}

/** Tables of few distinct values, so that ties, full backends and rows out of service are common. */
export function backendsArbitrary({
  minRows = 0,
  maxRows = 60,
  apps = ['', 'a', 'b'],
}: TableShape = {}): fc.Arbitrary<Backend[]> {
  const row = fc.record({
    app: fc.constantFrom(...apps),
    region: fc.constantFrom(...REGIONS.slice(0, 4), 'eu' as const, 'eu' as const),
    country: fc.constantFrom(...COUNTRIES),
    healthy: fc.constantFrom(true, true, true, true, false),
    deleted: fc.constantFrom(false, false, false, false, true),
    weight: fc.constantFrom(1, 1, 1, 2, 3, 0),
    softLimit: fc.constantFrom(0, 1, 2, 10),
    hardLimit: fc.constantFrom(0, 0, 1, 2, 5),
  });
  const rows = fc.array(row, { minLength: minRows, maxLength: maxRows, size: 'max' });
  return rows.map((rows) =>
    rows.map((given, i) => ({ id: COLLIDING_IDS[i] ?? `b${i}`, host: `10.0.0.${i}`, port: 1000 + i, ...given })),
  );
}

export function openTable(
  backends: readonly Backend[],
  listeners: readonly Pick<Listener, 'app'>[],
  version = 1,
): RoutingTable {
  return toEnd(openRoutingTable(version, buildTableImage(backends, listeners)));
}

export function buildIndex(table: RoutingTable, connections: (id: string) => number = () => 0): PickIndex {
  const index = new PickIndex(table);
  toEnd(index.build(connections));
  return index;
}

/** Runs a sliced task without letting anyone run between its slices. */
export function toEnd<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** The IPv4 address of client number `n`, < 2 ** 24, in 10.0.0.0/8. */
export function clientAddress(n: number): ClientAddress {
  return new ClientAddress(4, 10 * 2 ** 24 + n);
}

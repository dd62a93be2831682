import fc from 'fast-check';
import { BackendSlots } from '../../src/domain/backend-slots.ts';
import { ClientAddress } from '../../src/domain/client-address.ts';
import type { Backend } from '../../src/domain/entities.ts';
import { RoutingTable } from '../../src/domain/routing-table.ts';
import { PickIndex } from '../../src/domain/services/pick-index.ts';
import { TableEdit } from '../../src/domain/table-edit.ts';
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

/** A first table of these rows. */
export function openTable(backends: readonly Backend[]): RoutingTable {
  const slots = new BackendSlots();
  const edit = new TableEdit(RoutingTable.empty(slots), slots);
  for (const row of backends) edit.put(row);
  return edit.finish('');
}

/** An index of all rows of a table. */
export function buildIndex(
  table: RoutingTable,
  apps: readonly string[] = [''],
  connections: (slot: number) => number = () => 0,
): PickIndex {
  const index = new PickIndex(apps, connections);
  for (const slot of table.slotsBehind()) index.put(slot, table.backend(slot));
  return index;
}

/** The rows as the plain scan reads them. */
export function rowsOf(table: RoutingTable): Map<number, Backend> {
  return new Map(Array.from(table.slotsBehind(), (slot) => [slot, table.backend(slot)]));
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

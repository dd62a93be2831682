import fc from 'fast-check';
import t from 'tap';
import { BackendSlots } from '../../src/domain/backend-slots.ts';
import type { Backend } from '../../src/domain/entities.ts';
import { RoutingTable } from '../../src/domain/routing-table.ts';
import { TableEdit } from '../../src/domain/table-edit.ts';
import { backend } from '../fixtures/routing-db.ts';
import { openTable } from './arbitraries.ts';

/** Whether a table is what a plain map of its rows is, found by every way to look at it. */
function compare(table: RoutingTable, model: ReadonlyMap<string, Backend>, ids: readonly string[]): void {
  if (table.size !== model.size) throw new Error(`${table.size} rows, not ${model.size}`);
  const inOrder = [...model.keys()].sort();
  const idsOf = (slots: Iterable<number>) => Array.from(slots, (slot) => table.backend(slot).id).join();
  if (idsOf(table.slotsBehind()) !== inOrder.join()) throw new Error('not in the order of ids');
  for (const id of ids) {
    if (table.find(id) !== model.get(id)) throw new Error(`${id} is another row`);
    if (idsOf(table.slotsBehind(id)) !== inOrder.filter((other) => other > id).join()) throw new Error(`behind ${id}`);
  }
}

t.test('versions follow each other as plain maps do, and an old one stays as it was', async (t) => {
  const ids = Array.from({ length: 20 }, (_, i) => `id-${i}`);
  const step = fc.record({ id: fc.constantFrom(...ids), port: fc.nat(3), remove: fc.boolean() });
  const edits = fc.array(
    fc.record({ steps: fc.array(step, { maxLength: 12 }), abandon: fc.constantFrom(false, false, false, true) }),
    { maxLength: 8, size: 'max' },
  );
  fc.assert(
    fc.property(edits, (edits) => {
      const slots = new BackendSlots();
      const versions = [{ table: RoutingTable.empty(slots), model: new Map<string, Backend>() }];
      for (const { steps, abandon } of edits) {
        const { table, model: before } = versions.at(-1)!;
        const model = new Map(before);
        const edit = new TableEdit(table, slots);
        for (const { id, port, remove } of steps) {
          const row = backend({ id, port });
          const known = model.has(id);
          if (remove) {
            if (edit.remove(id) >= 0 !== known) throw new Error(`removed ${id}, which was ${known ? '' : 'not '}there`);
            model.delete(id);
          } else {
            edit.put(row);
            model.set(id, row);
          }
        }
        const next = edit.finish('hash');
        compare(next, model, ids);
        if (abandon) {
          edit.abandon();
        } else {
          edit.commit();
          versions.push({ table: next, model });
        }
        // Whatever was written, given away and given back since.
        for (const { table, model } of versions) compare(table, model, ids);
      }
      const { table, model } = versions.at(-1)!;
      for (const id of ids) if (slots.slotOf(id) !== table.slotOf(id)) throw new Error(`${id}: a slot of no row`);
      if (new Set(Array.from(model.keys(), (id) => slots.slotOf(id))).size !== model.size)
        throw new Error('two rows at one slot');
    }),
    { numRuns: 400 },
  );
  t.pass('equal');
});

t.test('a table of many chunks, and a change of one row of it', async (t) => {
  const rows = Array.from({ length: 3000 }, (_, i) => backend({ id: `b${(i * 7919) % 3000}` }, i));
  const table = openTable(rows);
  const model = new Map(rows.map((row) => [row.id, row]));
  compare(table, model, ['b0', 'b1', 'b2999', '', 'c']);
  const slots = Array.from(table.slotsBehind());
  t.ok(
    slots.every((slot) => slot < 3000),
    'slots are as many as rows',
  );
});

t.test('what changed is counted, and no more than three ids of a kind are named', async (t) => {
  const slots = new BackendSlots();
  const first = new TableEdit(RoutingTable.empty(slots), slots);
  first.put(backend({ id: 'b' }));
  first.put(backend({ id: 'x' }));
  const edit = new TableEdit(first.finish(''), slots);
  t.same(edit.change.summary(), { added: 0, removed: 0, changed: 0, ids: [] });
  edit.remove('b');
  for (const id of ['c', 'd', 'e', 'f']) edit.put(backend({ id }));
  edit.put(backend({ id: 'x', weight: 7 }));
  t.same(edit.change.summary(), { added: 4, removed: 1, changed: 1, ids: ['+c', '+d', '+e', '-b', '~x'] });
});

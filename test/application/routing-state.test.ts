import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/domain/entities.ts';
import { scanPick } from '../../src/domain/services/load-balancer.ts';
import { isDelta, TableFeed } from '../../src/domain/table-delta.ts';
import { buildTableImage } from '../../src/domain/table-image.ts';
import { backendsArbitrary, rowsOf } from '../domain/arbitraries.ts';
import { backend } from '../fixtures/routing-db.ts';
import { Rig } from './rig.ts';

t.test('the version goes up only when the content changed', async (t) => {
  const rig = new Rig();
  t.equal(rig.routing.table.version, 0);
  t.equal(rig.routing.table.size, 0);
  t.ok(await rig.install([{ id: 'a' }, { id: 'b' }]));
  t.equal(rig.routing.table.version, 1);
  t.notOk(
    await rig.install([
      { id: 'a', port: 9000 },
      { id: 'b', port: 9001 },
    ]),
    'the same content',
  );
  t.equal(rig.routing.table.version, 1);
  t.ok(await rig.install([]));
  t.equal(rig.routing.table.version, 2);
  t.equal(rig.got(1, '10.0.0.1'), 'no_backend', 'an empty table is a table');
});

t.test('a first table without rows is a table too', async (t) => {
  const rig = new Rig();
  t.ok(await rig.install([]));
  t.equal(rig.routing.table.version, 1);
});

t.test(
  'the old table serves until the new one is complete, and its index knows every count that changed',
  async (t) => {
    const rig = new Rig();
    const size = 9000;
    const rows = (weight: number) => Array.from({ length: size }, (_, i) => ({ id: `b${i}`, weight, softLimit: 3 }));
    await rig.serve(rows(1));
    // One connection each: the least loaded is always the next.
    for (let seq = 1; seq <= size; seq++) rig.pick(seq, `10.0.${seq >> 8}.${seq & 255}`);
    let installed = false;
    const installing = rig.install(rows(2)).then(() => {
      installed = true;
    });
    let turns = 0;
    let closed = 0;
    // Connections end between the slices of the new table's opening and of its index.
    while (!installed) {
      turns++;
      t.equal(rig.routing.table.version, 1);
      // A stride that is prime to the size visits every connection once, in no order.
      for (let i = 0; i < 15 && closed < size; i++) rig.closed(1 + ((closed++ * 7919) % size));
      await nextTurn();
    }
    await installing;
    t.ok(turns > 5, 'it was installed in slices');
    t.ok(closed < size, 'and some connections are left');
    t.equal(rig.routing.table.version, 2);
    const { table, index } = rig.routing;
    for (let n = 0; n < 20; n++) {
      const client = { app: '', hash: (n * 0x9e3779b1) >>> 0, geo: null };
      const scanned = scanPick(rowsOf(table), (slot) => rig.ledger.connections(slot), client, 'eu', []);
      t.equal(index.pick(client, 'eu', []), scanned);
      rig.pick(size + 1 + n, `10.100.0.${n}`);
    }
  },
);

t.test('few changes are made in one step, and the index in service stays', async (t) => {
  const rig = new Rig();
  const rows = Array.from({ length: 1001 }, (_, i) => ({ id: `b${i}`, port: 1000 + i }));
  await rig.serve(rows.slice(1));
  const { index, table } = rig.routing;
  await rig.serve(rows.slice(0, -1));
  t.equal(rig.routing.index, index);
  t.not(rig.routing.table, table);

  const feed = new TableFeed();
  const judged = (rows: readonly Partial<Backend>[]) => ({
    backends: rows.map(backend),
    problems: [],
    problemCount: 0,
  });
  const first = feed.tell(judged([{ id: 'a' }, { id: 'b' }]), null);
  await rig.routing.install(first);
  const delta = feed.tell(judged([{ id: 'a' }, { id: 'c' }]), first.contentHash);
  const changing = rig.routing.install(delta);
  t.ok(rig.routing.table.find('c'), 'before the call returns');
  t.notOk(rig.routing.table.find('b'));
  t.same((await changing)?.summary(), { added: 1, removed: 1, changed: 0, ids: ['+c', '-b'] });
  t.equal(await rig.routing.install(delta), null, 'the same content again is no change');
  const other = { ...delta, base: 'of another table', contentHash: 'and what it becomes' };
  await t.rejects(rig.routing.install(other), /of another table/);
  t.equal(rig.routing.table.version, 4);
});

t.test('a change that fails in its midst leaves nothing behind', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  const { table } = rig.routing;
  const { ledger } = rig;
  const known = Array.from(table.slotsBehind());
  const connections = ledger.connections.bind(ledger);
  ledger.connections = (slot) => {
    if (!known.includes(slot) && ledger.slots.idOf(slot) === 'd') throw new Error('a count that is not there');
    return connections(slot);
  };
  const change = [{ id: 'a' }, { id: 'b', healthy: false }, { id: 'c' }, { id: 'd' }];
  await t.rejects(rig.install(change), /not there/);
  t.equal(rig.routing.table, table);
  t.equal(ledger.slots.slotOf('c'), -1);
  const picks = new Set(Array.from({ length: 50 }, (_, n) => rig.got(n, `10.0.0.${n}`)));
  t.same([...picks].sort(), ['a picked', 'b picked'], 'what serves is the table of before, whole');
  ledger.connections = connections;
  t.ok(await rig.install(change));
  const later = new Set(Array.from({ length: 50 }, (_, n) => rig.got(100 + n, `10.0.1.${n}`)));
  t.same([...later].sort(), ['c picked', 'd picked'], 'and then those of the next one, who have fewer connections');
});

t.test('many changes come whole: no pick sees some of them', async (t) => {
  const rig = new Rig();
  const size = 3000;
  const rows = (id: string) => Array.from({ length: size }, (_, i) => ({ id: `${id}${i}` }));
  await rig.serve(rows('a'));
  const { index } = rig.routing;
  let installed = false;
  const installing = rig.install(rows('b')).then(() => {
    installed = true;
  });
  let seq = 0;
  while (!installed) {
    const { version } = rig.routing.table;
    t.match(rig.got(++seq, `10.1.${seq >> 8}.${seq & 255}`), version === 1 ? /^a/ : /^b/);
    await nextTurn();
  }
  await installing;
  t.ok(seq > 10, `${seq} turns`);
  t.not(rig.routing.index, index);
  t.match(rig.got(++seq, '10.2.0.1'), /^b/);
});

t.test('what is set while a table is replaced holds in the next one', async (t) => {
  const rig = new Rig();
  const rows = (softLimit: number) =>
    Array.from({ length: 3000 }, (_, i) => ({ id: `b${i}`, softLimit: i < 1500 ? 10 : softLimit }));
  await rig.serve(rows(10));
  const { table: before } = rig.routing;
  const slotOf = (i: number) => before.slotOf(`b${i}`);
  let installed = false;
  const installing = rig.install(rows(20)).then(() => {
    installed = true;
  });
  // One after another, at each moment of it; of rows that do not change.
  const set: number[] = [];
  for (let i = 0; !installed; i += 2) {
    rig.routing.setUp(slotOf(i), false);
    rig.routing.setWeight(slotOf(i + 1), 0);
    set.push(slotOf(i), slotOf(i + 1));
    await nextTurn();
  }
  await installing;
  t.ok(set.length > 60 && set.length < 1500, `${set.length} were set`);
  const { index, table } = rig.routing;
  const others = Array.from(table.slotsBehind()).filter((slot) => !set.includes(slot));
  const client = { app: '', hash: 1, geo: null };
  t.equal(index.pick(client, 'eu', others), -1);
  rig.routing.setUp(set[0]!, true);
  t.equal(index.pick(client, 'eu', others), set[0]);
});

t.test('changes one after another serve as the whole does, whoever is connected', async (t) => {
  const apps = ['', 'game'];
  const tables = fc.tuple(...Array.from({ length: 6 }, () => backendsArbitrary({ maxRows: 25, apps })));
  const moves = fc.array(fc.record({ open: fc.boolean(), n: fc.nat(40) }), { maxLength: 25, size: 'max' });
  let deltas = 0;
  await fc.assert(
    fc.asyncProperty(
      tables,
      fc.array(fc.nat(25), { minLength: 6, maxLength: 6 }),
      fc.tuple(...Array.from({ length: 6 }, () => moves)),
      async (tables, lengths, moves) => {
        const rig = new Rig();
        const feed = new TableFeed();
        const open = new Map<number, string>();
        let seq = 0;
        for (const [i, rows] of tables.entries()) {
          // Some rows go and some come back, with what they had before or other values.
          const backends = rows.slice(0, lengths[i]);
          const { version, contentHash } = rig.routing.table;
          const content = feed.tell({ backends, problems: [], problemCount: 0 }, version === 0 ? null : contentHash);
          if (isDelta(content)) deltas++;
          await rig.routing.install(content);
          const whole = new Rig();
          await whole.routing.install(buildTableImage(backends));
          const [table, alone] = [rig.routing.table, whole.routing.table];
          const rowsIn = (of: typeof table) =>
            JSON.stringify(Array.from(of.slotsBehind(), (slot) => Object.entries(of.backend(slot)).sort()));
          if (rowsIn(table) !== rowsIn(alone) || table.contentHash !== alone.contentHash || table.size !== alone.size)
            throw new Error('other rows than the whole has');
          for (const { open: opens, n } of moves[i]!) {
            if (opens) {
              const got = rig.pick(++seq, `10.0.${n}.1`, { listener: n % 2 });
              if (got?.kind === 'assigned') open.set(seq, got.backendId);
            } else {
              const [closing] = [...open.keys()].slice(n % (open.size + 1));
              if (closing !== undefined) rig.closed(closing);
              if (closing !== undefined) open.delete(closing);
            }
            for (const app of apps) {
              const client = { app, hash: (n * 0x9e3779b1) >>> 0, geo: null };
              const scanned = scanPick(rowsOf(table), (slot) => rig.ledger.connections(slot), client, 'eu', []);
              if (rig.routing.index.pick(client, 'eu', []) !== scanned) throw new Error('not what the scan picks');
            }
          }
          const held = new Map<string, number>();
          for (const id of open.values()) held.set(id, (held.get(id) ?? 0) + 1);
          const counts = new Map(rig.ledger.counts());
          if (
            counts.size !== held.size ||
            [...held].some(([id, n]) => counts.get(id) !== n || rig.ledger.connectionsOf(id) !== n)
          )
            throw new Error('a count is not that of its leases');
        }
      },
    ),
    { numRuns: 120 },
  );
  t.ok(deltas > 100, `${deltas} came as changes`);
});

t.test('the image of a table may come from another thread: nothing of it is kept but its columns', async (t) => {
  const rig = new Rig();
  const image = structuredClone(buildTableImage([backend({ id: 'a', country: 'DE' })]));
  await rig.routing.install(image);
  t.match(rig.routing.table.find('a'), { country: 'DE', region: 'eu', host: '127.0.0.1' });
});

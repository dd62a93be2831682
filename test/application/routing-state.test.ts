import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { scanPick } from '../../src/domain/services/load-balancer.ts';
import { buildTableImage } from '../../src/domain/table-image.ts';
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
      for (let i = 0; i < 300 && closed < size; i++) rig.closed(1 + ((closed++ * 7919) % size));
      await nextTurn();
    }
    await installing;
    t.ok(turns > 5, 'it was installed in slices');
    t.ok(closed < size, 'and some connections are left');
    t.equal(rig.routing.table.version, 2);
    const { table, index } = rig.routing;
    for (let n = 0; n < 20; n++) {
      const client = { app: '', hash: (n * 0x9e3779b1) >>> 0, geo: null };
      const scanned = scanPick(table, (id) => rig.ledger.connections(id), client, 'eu', []);
      t.equal(index.pick(client, 'eu', []), scanned);
      rig.pick(size + 1 + n, `10.100.0.${n}`);
    }
  },
);

t.test('an index that was replaced is told of nothing any more', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  const old = rig.routing.index;
  const client = { app: '', hash: 1, geo: null };
  const first = old.pick(client, 'eu', []);
  const firstId = rig.routing.table.idOf(first);
  await rig.serve([{ id: 'a' }, { id: 'b' }, { id: 'c', healthy: false }]);
  const other = rig.routing.table.slotOf(firstId === 'a' ? 'b' : 'a');
  rig.service.workerJoined(2);
  for (let seq = 1; rig.ledger.connections(firstId) === 0; seq++) rig.pick(seq, `10.0.0.${seq}`, { worker: 2 });
  for (let seq = 100; rig.ledger.connections(firstId) <= rig.ledger.connections(firstId === 'a' ? 'b' : 'a'); seq++)
    rig.pick(seq, `10.0.1.${seq}`, { worker: 2 });
  t.equal(rig.routing.index.pick(client, 'eu', []), other, 'the one in service knows of its connections');
  t.equal(old.pick(client, 'eu', []), first, 'while the old one believes that nobody is connected');
});

t.test('the image of a table may come from another thread: nothing of it is kept but its columns', async (t) => {
  const rig = new Rig();
  const image = structuredClone(buildTableImage([backend({ id: 'a', country: 'DE' })], rig.listeners));
  await rig.routing.install(image);
  t.match(rig.routing.table.find('a'), { country: 'DE', region: 'eu', host: '127.0.0.1' });
});

import t from 'tap';
import { Slab } from '../../../../src/adapters/outbound/memory-bindings/slab.ts';
import type { ClientKey } from '../../../../src/domain/entities.ts';
import { CHUNK_SIZE, positionOf } from '../../../../src/domain/ref-pool.ts';

const key: ClientKey = { app: 'game', family: 6, high: 0xffffffff, low: 0x80000001 };
const fill = (slab: Slab, count: number) =>
  Array.from({ length: count }, () => slab.add(slab.appFamily(key.app, key.family), key, 'a', 0, 7));

t.test('an entry gives back its key', async (t) => {
  const slab = new Slab();
  const ref = slab.add(slab.appFamily('game', 6), key, 'a', 0, 7);
  t.same(slab.keyOf(ref), key);
  const other: ClientKey = { app: '', family: 4, high: 1, low: 0 };
  t.same(slab.keyOf(slab.add(slab.appFamily('', 4), other, 'a', 0, 7)), other);
});

t.test('an entry matches its own key only', async (t) => {
  const slab = new Slab();
  const app = slab.appFamily(key.app, key.family);
  const ref = slab.add(app, key, 'a', 0, 7);
  t.ok(slab.matches(ref, app, key.high, key.low));
  t.notOk(slab.matches(ref, slab.appFamily(key.app, 4), key.high, key.low));
  t.notOk(slab.matches(ref, slab.appFamily('other', 6), key.high, key.low));
  t.notOk(slab.matches(ref, app, 0, key.low));
  t.notOk(slab.matches(ref, app, key.high, 1));
});

t.test('memory follows the number of entries, up and down', async (t) => {
  const slab = new Slab();
  t.equal(slab.chunkCount, 0);
  const refs = fill(slab, 3 * CHUNK_SIZE);
  t.equal(slab.chunkCount, 3);
  t.equal(new Set(refs).size, refs.length, 'each entry is given once');
  for (const ref of refs) slab.free(ref);
  t.equal(slab.chunkCount, 1, 'one is kept for the next client');
  t.equal(new Set(fill(slab, 3 * CHUNK_SIZE)).size, refs.length);
});

t.test('a size about the edge of a chunk makes no chunk twice', async (t) => {
  const slab = new Slab();
  fill(slab, CHUNK_SIZE);
  const [ref] = fill(slab, 1);
  const chunk = slab.chunkOf(ref!);
  slab.free(ref!);
  const [again] = fill(slab, 1);
  t.equal(slab.chunkOf(again!), chunk);
  slab.free(again!);
  t.equal(slab.chunkCount, 2, 'nor after the second time');
});

t.test('new entries fill the lowest chunk that has room', async (t) => {
  const slab = new Slab();
  const refs = fill(slab, 40 * CHUNK_SIZE);
  slab.free(refs[39 * CHUNK_SIZE]!);
  slab.free(refs[33 * CHUNK_SIZE]!);
  slab.free(refs[5]!);
  t.same(fill(slab, 3), [refs[5], refs[33 * CHUNK_SIZE], refs[39 * CHUNK_SIZE]]);
});

t.test('a handle on an entry that is gone is refused, and its backend id is let go', async (t) => {
  const slab = new Slab();
  const [ref] = fill(slab, 1);
  const chunk = slab.chunkOf(ref!);
  slab.free(ref!);
  t.equal(chunk.backends[positionOf(ref!)], '');
  for (const gone of [ref!, 0, CHUNK_SIZE + 1, 2 * CHUNK_SIZE + 1]) {
    t.throws(() => slab.chunkOf(gone), { code: 'EDGE_ERR_INTERNAL' });
  }
  t.throws(() => slab.free(ref!), { code: 'EDGE_ERR_INTERNAL' }, 'freed once only');
});

t.test('more apps than there are numbers are refused', async (t) => {
  const slab = new Slab();
  fill(slab, 1);
  for (let app = 1; app < 0x8000; app++) slab.appFamily(`app${app}`, 4);
  t.equal(slab.appFamily('app32767', 6), 0xffff);
  t.throws(() => slab.appFamily('one more', 4), { code: 'EDGE_ERR_INTERNAL' });
});

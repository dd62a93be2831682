import fc from 'fast-check';
import t from 'tap';
import { CHUNK_SIZE, positionOf, RefPool } from '../../src/domain/ref-pool.ts';

t.test('a ref is one at a time, and what is kept of it is its own, over several chunks that come and go', async (t) => {
  const step = fc.record({ take: fc.boolean(), count: fc.nat(2 * CHUNK_SIZE), first: fc.nat(CHUNK_SIZE) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20, size: 'max' }), (steps) => {
      const pool = new RefPool();
      const columns = pool.columns(() => new Float64Array(CHUNK_SIZE));
      const kept = new Map<number, number>();
      let stamp = 0;
      for (const { take, count, first } of steps) {
        const given = take ? [] : [...kept.keys()].slice(first, first + count);
        for (const ref of given) {
          pool.giveBack(ref);
          kept.delete(ref);
        }
        for (let n = 0; take && n < count; n++) {
          const ref = pool.take();
          if (ref < 1 || kept.has(ref)) throw new Error(`${ref} is somebody's already`);
          kept.set(ref, ++stamp);
          columns.of(ref)[positionOf(ref)] = stamp;
        }
        for (const [ref, value] of kept)
          if (columns.of(ref)[positionOf(ref)] !== value) throw new Error(`what is kept of ${ref} is another's`);
        if (pool.size !== kept.size) throw new Error(`${pool.size} refs are taken, ${kept.size} are had`);
        const chunks = new Set([...kept.keys()].map((ref) => Math.floor((ref - 1) / CHUNK_SIZE))).size;
        if (pool.chunkCount < chunks || pool.chunkCount > chunks + 1)
          throw new Error(`${pool.chunkCount} chunks for refs in ${chunks}`);
      }
    }),
    { numRuns: 60 },
  );
  t.pass('always');
});

t.test('a peak is given back, and a size about the edge of a chunk makes none', async (t) => {
  const pool = new RefPool();
  let made = 0;
  pool.columns(() => ++made);
  t.equal(pool.chunkCount, 0);
  const refs = Array.from({ length: 5 * CHUNK_SIZE }, () => pool.take());
  t.equal(pool.chunkCount, 5);
  for (const ref of refs.splice(CHUNK_SIZE)) pool.giveBack(ref);
  t.equal(pool.chunkCount, 2, 'one of them empty');
  for (let n = 0; n < 10; n++) pool.giveBack(pool.take());
  t.equal(made, 5);
  for (const ref of refs) pool.giveBack(ref);
  t.equal(pool.chunkCount, 1);
});

t.test('columns that are asked for late have what the others have', async (t) => {
  const pool = new RefPool();
  const ref = pool.take();
  t.equal(pool.columns(() => 'made').of(ref), 'made');
});

t.test('a ref that nobody has cannot be given back', async (t) => {
  const pool = new RefPool();
  t.throws(() => pool.giveBack(1), { message: 'ref 1 is not taken' });
  const ref = pool.take();
  t.throws(() => pool.giveBack(0));
  t.throws(() => pool.giveBack(ref + 1));
  pool.giveBack(ref);
  t.throws(() => pool.giveBack(ref), { message: `ref ${ref} is not taken` });
  t.equal(pool.take(), ref);
});

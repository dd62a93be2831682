import fc from 'fast-check';
import t from 'tap';
import { KeyIndex } from '../../../../src/adapters/outbound/memory-bindings/key-index.ts';
import { Slab } from '../../../../src/adapters/outbound/memory-bindings/slab.ts';
import { clientNo } from '../../../conformance/binding-repository.ts';

/** An index over real entries, with hashes of the test's choosing. */
function indexed(capacity: number) {
  const slab = new Slab();
  const index = new KeyIndex(slab, capacity);
  const app = slab.appFamily('game', 4);
  return {
    index,
    add(n: number, hash: number) {
      const ref = slab.add(app, clientNo(n), 'a', 0, 0);
      index.add(hash, ref);
      return ref;
    },
    find: (n: number, hash: number) => index.find(hash, app, clientNo(n)),
  };
}

t.test('nothing is found in an index that holds nothing', async (t) => {
  const { index, find } = indexed(100);
  t.equal(find(1, 0), 0);
  t.equal(index.slots, 0, 'and it costs nothing');
});

t.test('clients of one hash are told apart', async (t) => {
  const { index, add, find } = indexed(100);
  const refs = [1, 2, 3].map((n) => add(n, 5));
  t.same(
    [1, 2, 3, 4].map((n) => find(n, 5)),
    [...refs, 0],
  );
  index.remove(5, refs[0]!);
  t.same(
    [1, 2, 3].map((n) => find(n, 5)),
    [0, refs[1], refs[2]],
  );
});

t.test('runs that collide, wrap and lose members lose nobody else', async (t) => {
  // Few hashes, most of them homed in the last and the first slots, make long runs over the end of a shard.
  const hash = fc.constantFrom(0, 1, 2, 13, 14, 15, 30, 31, 0xfffffffe, 0xffffffff);
  fc.assert(
    fc.property(fc.array(fc.tuple(hash, fc.nat(20)), { maxLength: 80 }), (steps) => {
      const { index, add, find } = indexed(100);
      const held = new Map<number, { hash: number; ref: number }>();
      for (const [hash, n] of steps) {
        const entry = held.get(n);
        if (entry === undefined) held.set(n, { hash, ref: add(n, hash) });
        else {
          index.remove(entry.hash, entry.ref);
          held.delete(n);
          if (find(n, entry.hash) !== 0) return false;
        }
        for (const [n, entry] of held) if (find(n, entry.hash) !== entry.ref) return false;
      }
      return true;
    }),
    { numRuns: 1000 },
  );
  t.pass('each client was found after each step');
});

t.test('shards follow the number of entries, up and down', async (t) => {
  const count = 20_000;
  const { index, add } = indexed(count);
  const entries = Array.from({ length: count }, (_, n) => {
    const hash = index.hash(clientNo(n));
    return { hash, ref: add(n, hash) };
  });
  const full = index.slots;
  t.ok(full >= count / 0.75 && full <= count / 0.375 + 16 * 8, `${full} slots for ${count} entries`);
  for (const { hash, ref } of entries) index.remove(hash, ref);
  t.equal(index.slots, 8 * 16, 'the smallest size of each shard');
});

t.test('two processes hash one client differently', async (t) => {
  const hashes = () => {
    const { index } = indexed(1);
    return [1, 2, 3, 4].map((n) => index.hash(clientNo(n)));
  };
  t.not(hashes().join(), hashes().join());
});

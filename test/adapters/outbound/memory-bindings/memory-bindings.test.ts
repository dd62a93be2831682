import t from 'tap';
import { MemoryBindings } from '../../../../src/adapters/outbound/memory-bindings/memory-bindings.ts';
import { clientNo } from '../../../conformance/binding-repository.ts';

t.test('options out of range are refused', async (t) => {
  for (const ttlMs of [0, -1, Number.NaN]) {
    t.throws(() => new MemoryBindings({ ttlMs, maxBindings: 1 }), { code: 'EDGE_ERR_INTERNAL' });
  }
  for (const maxBindings of [0, -1, 1.5, Number.NaN, 2 ** 27 + 1]) {
    t.throws(() => new MemoryBindings({ ttlMs: 1, maxBindings }), { code: 'EDGE_ERR_INTERNAL' });
  }
});

t.test('a handle that outlived its binding is refused', async (t) => {
  const bindings = new MemoryBindings({ ttlMs: 10, maxBindings: 5 });
  const ref = bindings.bind(clientNo(1), 'a', null, 0);
  bindings.sweep(10, 1);
  const stale = { code: 'EDGE_ERR_INTERNAL' };
  t.throws(() => bindings.backendOf(ref), stale);
  t.throws(() => bindings.acquire(ref), stale);
  t.throws(() => bindings.release(ref, 11), stale);
  t.throws(() => bindings.move(ref, 'b', 1), stale);
  t.throws(() => bindings.remove(ref), stale);
  t.throws(() => bindings.backendOf(0), stale, 'nor is "none" a binding');
});

t.test('a full table of a hundred thousand turns over in the order in which clients came', async (t) => {
  const count = 100_000;
  const bindings = new MemoryBindings({ ttlMs: 10 * count, maxBindings: count });
  for (let n = 0; n < 2 * count; n++) bindings.bind(clientNo(n), 'a', null, n);
  t.equal(bindings.size, count);
  t.equal(bindings.evictions, count);
  let kept = 0;
  for (let n = 0; n < 2 * count; n++) if (bindings.find(clientNo(n), 2 * count) !== 0 && n >= count) kept++;
  t.equal(kept, count, 'the later half, each of them');
  t.equal(bindings.sweep(20 * count, 3 * count), count);
  t.equal(bindings.size, 0);
});

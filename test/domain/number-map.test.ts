import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'tap';
import { NumberMap } from '../../src/domain/number-map.ts';

const sorted = (entries: Iterable<[number, string]>) => [...entries].sort(([a], [b]) => a - b);

test('does what a Map does', async () => {
  // Few keys, so that they meet; and large ones that share their low 32 bits with them.
  const key = fc.oneof(
    fc.nat(40),
    fc.nat(40).map((n) => n + 2 ** 40),
    fc.maxSafeNat(),
  );
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key }),
    fc.record({ kind: fc.constant('delete' as const), key }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const model = new Map<number, string>();
      const map = new NumberMap<string>();
      for (const [i, { kind, key }] of steps.entries()) {
        if (kind === 'set') {
          model.set(key, `${i}`);
          map.set(key, `${i}`);
        } else if (map.delete(key) !== model.get(key)) {
          return false;
        } else {
          model.delete(key);
        }
        if (map.size !== model.size || map.get(key) !== model.get(key) || map.has(key) !== model.has(key)) return false;
      }
      const keys = [...map.keys()].sort((a, b) => a - b);
      if (JSON.stringify(keys) !== JSON.stringify([...model.keys()].sort((a, b) => a - b))) return false;
      return JSON.stringify(sorted(map.entries())) === JSON.stringify(sorted(model));
    }),
  );
});

test('keeps every entry while it grows and shrinks by thousands', async (t) => {
  const map = new NumberMap<string>();
  for (let key = 0; key < 10_000; key++) map.set(key, `${key}`);
  for (let key = 0; key < 10_000; key += 2) if (map.delete(key) !== `${key}`) t.fail(`${key} was lost`);
  t.equal(map.size, 5000);
  for (let key = 1; key < 10_000; key += 2) if (map.get(key) !== `${key}`) t.fail(`${key} is lost`);
  for (let key = 1; key < 9_999; key += 2) map.delete(key);
  t.same(map.entries(), [[9999, '9999']]);
  t.notOk(map.has(1));
});

test('gives the memory of a peak back', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const map = new NumberMap<string>();
  const before = used();
  for (let key = 0; key < 1_000_000; key++) map.set(key, 'x');
  const peak = used() - before;
  // Less whatever else was collected meanwhile.
  t.ok(peak >= 12 << 20, `${peak} bytes of keys`);
  for (let key = 10; key < 1_000_000; key++) map.delete(key);
  const rest = used() - before;
  t.ok(rest < peak / 100, `${rest} bytes are left of ${peak}`);
  t.equal(map.get(9), 'x');
});

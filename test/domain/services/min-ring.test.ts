import fc from 'fast-check';
import t from 'tap';
import { MinRing } from '../../../src/domain/services/min-ring.ts';

const value = fc.constantFrom(0, 0.5, 1, 2, Infinity);

t.test('a ring does what a plain array does', async (t) => {
  fc.assert(
    fc.property(
      fc.nat(70),
      fc.array(fc.record({ at: fc.nat(69), value, from: fc.nat(75), bound: fc.constantFrom(0, 0.5, 1, 2) }), {
        maxLength: 60,
        size: 'max',
      }),
      (size, steps) => {
        const array = Array.from({ length: size }, (_, position) => position % 3);
        const ring = new MinRing(size, (position) => array[position]!);
        for (const { at, value, from, bound } of steps) {
          if (at < size) {
            ring.set(at, value);
            array[at] = value;
          }
          same('min', ring.min, Math.min(Infinity, ...array));
          const next = array.findIndex((value, position) => position >= from && value <= bound);
          same(`next(${from}, ${bound})`, ring.next(from, bound), next);
        }
        for (const [position, value] of array.entries()) same(`get(${position})`, ring.get(position), value);
      },
    ),
    { numRuns: 500 },
  );
  t.pass('equal');
});

t.test('an empty ring has no least value and no next position', async (t) => {
  const ring = new MinRing(0, () => 0);
  t.equal(ring.min, Infinity);
  t.equal(ring.next(0, 1), -1);
});

function same(what: string, got: number, wanted: number): void {
  if (got !== wanted) throw new Error(`${what} is ${got}, a plain array says ${wanted}`);
}

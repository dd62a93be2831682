import fc from 'fast-check';
import t from 'tap';
import { connectionCap } from '../../src/domain/connection-cap.ts';

t.test('a worker alone takes all that come', async (t) => {
  t.equal(connectionCap(0, 1), 0);
  t.equal(connectionCap(100_000, 1), 0);
  t.equal(connectionCap(0, 0), 0);
});

t.test(
  'from two on it is above the mean, so somebody may always accept, and from 384 a worker on by an eighth',
  async () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(1_000_000), (workers, held) => {
        const cap = connectionCap(held, workers);
        const mean = held / workers;
        return cap > mean && cap <= Math.max(mean + 49, mean * 1.125 + 1);
      }),
    );
  },
);

t.test('the cap, in numbers', async (t) => {
  t.equal(connectionCap(0, 2), 48);
  t.equal(connectionCap(768, 2), 432, 'where the eighth begins to count');
  t.equal(connectionCap(8_000, 8), 1_125);
  t.equal(connectionCap(1_000_000, 64), 17_579);
});

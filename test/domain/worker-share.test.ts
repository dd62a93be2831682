import fc from 'fast-check';
import t from 'tap';
import { workerShare } from '../../src/domain/worker-share.ts';

t.test('a worker alone takes all that come', async (t) => {
  t.equal(workerShare(0, 1), 0);
  t.equal(workerShare(100_000, 1), 0);
  t.equal(workerShare(0, 0), 0);
});

t.test(
  'from two on it is above the mean, so somebody may always accept, and from 384 a worker on by an eighth',
  async () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(1_000_000), (workers, held) => {
        const share = workerShare(held, workers);
        const mean = held / workers;
        return share > mean && share <= Math.max(mean + 49, mean * 1.125 + 1);
      }),
    );
  },
);

t.test('the share, in numbers', async (t) => {
  t.equal(workerShare(0, 2), 48);
  t.equal(workerShare(768, 2), 432, 'where the eighth begins to count');
  t.equal(workerShare(8_000, 8), 1_125);
  t.equal(workerShare(1_000_000, 64), 17_579);
});

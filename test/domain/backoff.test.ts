import t from 'tap';
import { backoffMs } from '../../src/domain/backoff.ts';

t.test('the delay doubles from the first failure on, up to the cap', async (t) => {
  const delays = Array.from({ length: 9 }, (_, failures) => backoffMs(failures, { firstMs: 100, capMs: 3000 }));
  t.same(delays, [0, 100, 200, 400, 800, 1600, 3000, 3000, 3000]);
  t.equal(backoffMs(100_000, { firstMs: 100, capMs: 3000 }), 3000, 'no overflow after a night of failures');
});

import fc from 'fast-check';
import t from 'tap';
import { LeastFew } from '../../src/domain/least-few.ts';

t.test('what is kept is the head of the sorted whole', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.nat(20), (items, limit) => {
      const few = new LeastFew<number>(limit, (a, b) => a - b);
      for (const item of items) few.offer(item);
      const expected = [...items].sort((a, b) => a - b).slice(0, limit);
      return JSON.stringify(few.ascending()) === JSON.stringify(expected);
    }),
  );
  t.pass();
});

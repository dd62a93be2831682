import fc from 'fast-check';
import t from 'tap';
import { LeastFew } from '../../src/domain/least-few.ts';

function inOneGo<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

t.test('what is kept is the head of the sorted whole', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 3000 }), fc.nat(2000), (items, limit) => {
      const few = new LeastFew<number>(limit, (a, b) => a - b);
      for (const item of items) few.offer(item);
      const expected = [...items].sort((a, b) => a - b).slice(0, limit);
      return JSON.stringify(inOneGo(few.takeAscending())) === JSON.stringify(expected);
    }),
  );
  t.pass();
});

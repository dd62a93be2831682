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

t.test('they are taken out in slices', async (t) => {
  const few = new LeastFew<number>(10_000, (a, b) => a - b);
  for (let item = 0; item < 10_000; item++) few.offer(item);
  let yields = 0;
  for (const work = few.takeAscending(); !work.next().done; ) yields++;
  t.ok(yields >= 10 && yields <= 100, `${yields} times`);
});

import t from 'tap';
import { BackendNumbers, MAX_BACKEND_NUMBERS } from '../../src/ipc/backend-numbers.ts';

function numbers() {
  const told: unknown[][] = [];
  return { told, numbers: new BackendNumbers((...one) => told.push(one)) };
}

t.test('a backend is told of once, and again when its address changed', async (t) => {
  const { told, numbers: n } = numbers();
  t.equal(n.numberOf('a', '10.0.0.1', 80), 0);
  t.equal(n.numberOf('b', '10.0.0.1', 80), 1);
  t.equal(n.numberOf('a', '10.0.0.1', 80), 0);
  t.equal(told.length, 2);
  t.equal(n.numberOf('a', '10.0.0.1', 81), 0);
  t.equal(n.numberOf('a', '10.0.0.2', 81), 0, 'the number stays');
  t.same(told.slice(2), [
    [0, 'a', '10.0.0.1', 81],
    [0, 'a', '10.0.0.2', 81],
  ]);
});

t.test('backends that come and go for years fill no memory, and no number stands for two', async (t) => {
  const { told, numbers: n } = numbers();
  for (let i = 0; i < MAX_BACKEND_NUMBERS; i++) n.numberOf(`id-${i}`, '10.0.0.1', 80);
  t.equal(n.numberOf('id-7', '10.0.0.9', 80), 7, 'one that is known takes no room');
  t.equal(n.numberOf('new', '10.0.0.1', 80), 0);
  t.equal(n.numberOf('id-0', '10.0.0.1', 80), 1, 'it is told anew');
  t.same(told.slice(-2), [
    [0, 'new', '10.0.0.1', 80],
    [1, 'id-0', '10.0.0.1', 80],
  ]);
  t.ok(told.every(([number]) => (number as number) < MAX_BACKEND_NUMBERS));
});

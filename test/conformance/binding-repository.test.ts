import fc from 'fast-check';
import t from 'tap';
import { MemoryBindings } from '../../src/adapters/outbound/memory-bindings/memory-bindings.ts';
import { NaiveBindings } from '../fixtures/naive-bindings.ts';
import { bindingRepositorySuite, type MakeBindings } from './binding-repository.ts';
import { holdAgainstModel, type Step, stepsArbitrary } from './binding-repository-model.ts';

const memory: MakeBindings = (options) => new MemoryBindings(options);

t.test('MemoryBindings', async (t) => bindingRepositorySuite(t, memory));
t.test('NaiveBindings', async (t) => bindingRepositorySuite(t, (options) => new NaiveBindings(options)));

t.test('MemoryBindings does what the naive table does, few clients in a small table', async (t) => {
  const clients = 12;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), stepsArbitrary(clients, 6), (maxBindings, steps) =>
      holdAgainstModel(memory, maxBindings, clients, steps),
    ),
    { numRuns: 500 },
  );
  t.pass('equal on every sequence');
});

t.test(
  'MemoryBindings does what the naive table does, over several chunks and shards that grow and shrink',
  async (t) => {
    const clients = 12_000;
    fc.assert(
      fc.property(fc.constantFrom(4096, 4097, 9000, 20_000), stepsArbitrary(clients, 6000), (maxBindings, steps) =>
        holdAgainstModel(memory, maxBindings, clients, steps),
      ),
      { numRuns: 15 },
    );
    t.pass('equal on every sequence');
  },
);

t.test('the model finds a table that differs', async (t) => {
  const late: MakeBindings = (options) => {
    const bindings = new NaiveBindings(options);
    const release = bindings.release.bind(bindings);
    return Object.assign(bindings, { release: (ref: number, now: number) => release(ref, now + 1) });
  };
  const steps: Step[] = [
    { do: 'bind', client: 1, ms: 0 },
    { do: 'acquire', client: 1, ms: 5 },
    { do: 'release', client: 1, ms: 5 },
  ];
  t.throws(() => holdAgainstModel(late, 4, 12, steps), { message: /last seen is 11, the model says 10/ });
});

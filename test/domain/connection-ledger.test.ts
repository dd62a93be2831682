import fc from 'fast-check';
import t from 'tap';
import { ConnectionLedger, type Lease } from '../../src/domain/connection-ledger.ts';

/** A lease, and where its room is or was. */
interface Held {
  readonly lease: Lease;
  readonly slot: number;
}

const SERVING = ['a', 'b', 'c'];
const name = { worker: fc.nat(3), seq: fc.nat(5) };
const step = fc.oneof(
  fc.record({ do: fc.constant('reserve' as const), ...name, backend: fc.nat(2) }),
  fc.record({ do: fc.constant('reserve' as const), ...name, backend: fc.nat(2) }),
  fc.record({
    do: fc.constantFrom('release' as const, 'admit' as const, 'releaseAll' as const, 'forget' as const),
    ...name,
  }),
);

t.test('counts are the number of leases, at every step', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const ledger = new ConnectionLedger();
      const slots = SERVING.map((id) => ledger.slots.take(id));
      const model = new Map<number, Map<number, Held>>();
      const released: Held[] = [];
      const isKnown = (lease: Lease) =>
        [...released, ...[...model.values()].flatMap((leases) => [...leases.values()])].some(
          (held) => held.lease === lease,
        );
      const watched = new Map<number, number>();
      ledger.watch((slot, connections) => {
        if (connections === (watched.get(slot) ?? 0)) throw new Error('a watcher was told of no change');
        watched.set(slot, connections);
      });
      for (const step of steps) {
        const leases = model.get(step.worker);
        if (step.do === 'admit') {
          ledger.admit(step.worker);
          if (leases === undefined) model.set(step.worker, new Map());
        } else if (step.do === 'reserve') {
          const may = leases !== undefined && !leases.has(step.seq);
          same('mayReserve', ledger.mayReserve(step.worker, step.seq), may);
          const slot = slots[step.backend]!;
          if (may) {
            const lease = ledger.reserve(step.worker, step.seq, slot);
            same('a lease that somebody has', isKnown(lease), false);
            leases.set(step.seq, { lease, slot });
          } else {
            mustThrow(() => ledger.reserve(step.worker, step.seq, slot));
          }
        } else if (step.do === 'release') {
          const held = leases?.get(step.seq);
          same('find', ledger.find(step.worker, step.seq), held?.lease ?? 0);
          same('release', ledger.release(step.worker, step.seq), held?.lease ?? 0);
          if (held !== undefined) released.push(held);
          leases?.delete(step.seq);
        } else if (step.do === 'releaseAll') {
          const given = [...ledger.releaseAll(step.worker).values()];
          const held = [...(leases?.values() ?? [])];
          same(
            'releaseAll',
            given.sort().join(),
            held
              .map(({ lease }) => lease)
              .sort()
              .join(),
          );
          released.push(...held);
          model.delete(step.worker);
        } else {
          const [gone] = released.splice(step.seq % Math.max(1, released.length), 1);
          if (gone !== undefined) ledger.forget(gone.lease);
        }
        for (const { lease, slot } of released) same('the slot of a released lease', ledger.slotOf(lease), slot);
        same('leases that are not forgotten', ledger.leases.size, released.length + ledger.total);
        compare(ledger, model, watched, slots);
      }
    }),
    { numRuns: 500 },
  );
  t.pass('equal');
});

function compare(
  ledger: ConnectionLedger,
  model: Map<number, Map<number, Held>>,
  watched: Map<number, number>,
  slots: readonly number[],
): void {
  const leases = [...model.values()].flatMap((leases) => [...leases.values()]);
  same('total', ledger.total, leases.length);
  const counts = new Map(ledger.counts());
  for (const [i, slot] of slots.entries()) {
    const id = SERVING[i]!;
    const count = leases.filter((lease) => lease.slot === slot).length;
    same(`connections at ${slot}`, ledger.connections(slot), count);
    same(`connections of ${id}`, ledger.connectionsOf(id), count);
    same(`watched connections of ${id}`, watched.get(slot) ?? 0, count);
    same(`counts of ${id}`, counts.get(id), count === 0 ? undefined : count);
  }
  for (let worker = 0; worker < 4; worker++) same('heldBy', ledger.heldBy(worker), model.get(worker)?.size ?? 0);
}

t.test('a dead worker gives back everything once, and reserves nothing afterwards', async (t) => {
  const ledger = new ConnectionLedger();
  t.notOk(ledger.mayReserve(1, 1), 'not before it is admitted');
  ledger.admit(1);
  ledger.admit(2);
  const [a, b] = [ledger.slots.take('a'), ledger.slots.take('b')];
  ledger.reserve(1, 1, a);
  ledger.reserve(1, 2, b);
  ledger.reserve(2, 1, a);
  const released = Array.from(ledger.releaseAll(1).values(), (lease) => ledger.slotOf(lease));
  t.same(released.sort(), [a, b]);
  t.equal(ledger.releaseAll(1).size, 0);
  t.equal(ledger.release(1, 1), 0, 'its late report finds nothing');
  t.notOk(ledger.mayReserve(1, 3));
  t.throws(() => ledger.reserve(1, 3, a));
  t.same([...ledger.counts()], [['a', 1]], 'the other worker keeps its own');
});

t.test('a watcher hears nothing after it is let go', async (t) => {
  const ledger = new ConnectionLedger();
  const heard: [number, number][] = [];
  const unwatch = ledger.watch((slot, connections) => heard.push([slot, connections]));
  ledger.admit(1);
  const slot = ledger.slots.take('a');
  ledger.reserve(1, 1, slot);
  unwatch();
  ledger.release(1, 1);
  t.same(heard, [[slot, 1]]);
});

t.test('a backend that is let go keeps its slot while it has a connection, and no longer', async (t) => {
  const ledger = new ConnectionLedger();
  ledger.admit(1);
  ledger.admit(2);
  const a = ledger.slots.take('a');
  const b = ledger.slots.take('b');
  ledger.reserve(1, 1, a);
  ledger.reserve(2, 1, a);
  ledger.slots.release(a);
  const c = ledger.slots.take('c');
  t.notOk([a, b].includes(c), 'the slot is not given away');
  t.equal(ledger.slots.take('a'), a, 'and is found again');
  ledger.slots.release(a);
  ledger.release(1, 1);
  t.equal(ledger.slots.slotOf('a'), a);
  ledger.releaseAll(2);
  t.equal(ledger.slots.slotOf('a'), -1);
  t.equal(ledger.connectionsOf('a'), 0);
  t.equal(ledger.slots.take('d'), a, 'then another one may have it');
  t.equal(ledger.connectionsOf('d'), 0);
});

t.test('counts of slots far apart, and of those that were never counted', async (t) => {
  const ledger = new ConnectionLedger();
  ledger.admit(1);
  const slots = Array.from({ length: 1000 }, (_, i) => ledger.slots.take(`b${i}`));
  t.equal(ledger.connections(slots[999]!), 0);
  ledger.reserve(1, 1, slots[999]!);
  ledger.reserve(1, 2, slots[0]!);
  t.same(
    [...ledger.counts()],
    [
      ['b0', 1],
      ['b999', 1],
    ],
  );
  ledger.releaseAll(1);
  t.same([[...ledger.counts()], ledger.total], [[], 0]);
});

function same(what: string, got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Error(`${what} is ${String(got)}, the model says ${String(wanted)}`);
}

function mustThrow(act: () => void): void {
  let threw = false;
  try {
    act();
  } catch {
    threw = true;
  }
  if (!threw) throw new Error('a lease was reserved that may not be');
}

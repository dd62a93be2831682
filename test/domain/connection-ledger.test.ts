import fc from 'fast-check';
import t from 'tap';
import { ConnectionLedger, type Lease } from '../../src/domain/connection-ledger.ts';

const name = { worker: fc.nat(3), seq: fc.nat(5) };
const step = fc.oneof(
  fc.record({ do: fc.constant('reserve' as const), ...name, backend: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ do: fc.constant('reserve' as const), ...name, backend: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ do: fc.constantFrom('release' as const, 'admit' as const, 'releaseAll' as const), ...name }),
);

t.test('counts are the number of leases, at every step', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const ledger = new ConnectionLedger<Lease>();
      const model = new Map<number, Map<number, Lease>>();
      const watched = new Map<string, number>();
      ledger.watch((id, connections) => {
        if (connections === (watched.get(id) ?? 0)) throw new Error('a watcher was told of no change');
        watched.set(id, connections);
      });
      for (const step of steps) {
        const leases = model.get(step.worker);
        if (step.do === 'admit') {
          ledger.admit(step.worker);
          if (leases === undefined) model.set(step.worker, new Map());
        } else if (step.do === 'reserve') {
          const may = leases !== undefined && !leases.has(step.seq);
          same('mayReserve', ledger.mayReserve(step.worker, step.seq), may);
          const lease = { backendId: step.backend };
          if (may) {
            ledger.reserve(step.worker, step.seq, lease);
            leases.set(step.seq, lease);
          } else {
            mustThrow(() => ledger.reserve(step.worker, step.seq, lease));
          }
        } else if (step.do === 'release') {
          same('find', ledger.find(step.worker, step.seq), leases?.get(step.seq));
          same('release', ledger.release(step.worker, step.seq), leases?.get(step.seq));
          leases?.delete(step.seq);
        } else {
          const given = ledger.releaseAll(step.worker);
          same('releaseAll', given.size, leases?.size ?? 0);
          same(
            'its leases',
            [...given.values()].every((lease) => [...(leases?.values() ?? [])].includes(lease)),
            true,
          );
          model.delete(step.worker);
        }
        compare(ledger, model, watched);
      }
    }),
    { numRuns: 500 },
  );
  t.pass('equal');
});

function compare(
  ledger: ConnectionLedger<Lease>,
  model: Map<number, Map<number, Lease>>,
  watched: Map<string, number>,
): void {
  const leases = [...model.values()].flatMap((leases) => [...leases.values()]);
  same('total', ledger.total, leases.length);
  for (const id of ['a', 'b', 'c']) {
    const count = leases.filter(({ backendId }) => backendId === id).length;
    same(`connections of ${id}`, ledger.connections(id), count);
    same(`watched connections of ${id}`, watched.get(id) ?? 0, count);
    same(`counts of ${id}`, ledger.counts().get(id), count === 0 ? undefined : count);
  }
  for (let worker = 0; worker < 4; worker++) same('heldBy', ledger.heldBy(worker), model.get(worker)?.size ?? 0);
}

t.test('a dead worker gives back everything once, and reserves nothing afterwards', async (t) => {
  const ledger = new ConnectionLedger<Lease>();
  t.notOk(ledger.mayReserve(1, 1), 'not before it is admitted');
  ledger.admit(1);
  ledger.admit(2);
  ledger.reserve(1, 1, { backendId: 'a' });
  ledger.reserve(1, 2, { backendId: 'b' });
  ledger.reserve(2, 1, { backendId: 'a' });
  const released = Array.from(ledger.releaseAll(1).values(), ({ backendId }) => backendId);
  t.same(released.sort(), ['a', 'b']);
  t.equal(ledger.releaseAll(1).size, 0);
  t.equal(ledger.release(1, 1), undefined, 'its late report finds nothing');
  t.notOk(ledger.mayReserve(1, 3));
  t.throws(() => ledger.reserve(1, 3, { backendId: 'a' }));
  t.same([...ledger.counts()], [['a', 1]], 'the other worker keeps its own');
});

t.test('a watcher hears nothing after it is let go', async (t) => {
  const ledger = new ConnectionLedger<Lease>();
  const heard: [string, number][] = [];
  const unwatch = ledger.watch((id, connections) => heard.push([id, connections]));
  ledger.admit(1);
  ledger.reserve(1, 1, { backendId: 'a' });
  unwatch();
  ledger.release(1, 1);
  t.same(heard, [['a', 1]]);
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

import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { loadAddon } from '../../src/adapters/dataplane/epoll/load-addon.ts';
import { linkOver } from '../../src/adapters/dataplane/epoll/native-link.ts';
import { ChannelPicker } from '../../src/adapters/outbound/channel-picker.ts';
import { ServeConnections } from '../../src/application/serve-connections.ts';
import { NEVER_MS, openSession } from '../adapters/channel-rig.ts';
import { until } from '../fixtures/until.ts';
import { Rig } from './rig.ts';
import { accepted, closed, connected, failed, ScriptedDataPlane } from './scripted-data-plane.ts';

// Everything between the engines of two workers and the books of the primary, over real sockets, so that what one side does
// crosses with what the other says: clients leave while they are asked for, wait, are answered, or are dialled for.

/** An engine that knows all at once that its sockets have to tell. */
class SettlingDataPlane extends ScriptedDataPlane {
  override settle(): void {
    setImmediate(() => this.emit({ type: 'settled' }));
  }
}

async function openWorker(t: Test, rig: Rig, incarnation: number) {
  const { theirs, told } = await openSession(t, rig, incarnation);
  let greet = () => {};
  const greeted = new Promise<void>((resolve) => {
    greet = resolve;
  });
  const picker = new ChannelPicker({
    ...{ link: linkOver(theirs, loadAddon().addon), incarnation, timeoutMs: NEVER_MS, onHello: greet },
    ...{ onCap: () => {}, onSync: (round) => serve.sync(round), onLost: () => {} },
  });
  let engine: SettlingDataPlane | undefined;
  const options = { picker, clock: rig.clock, connectAttempts: 2, onIdle: () => {} };
  const serve = new ServeConnections(options, (onEvents) => {
    engine = new SettlingDataPlane(onEvents);
    return engine;
  });
  await greeted;
  return { engine: engine!, serve, told };
}

const step = fc.record({
  do: fc.constantFrom('accept', 'accept', 'accept', 'go on', 'go on', 'fail', 'end', 'flash', 'breathe', 'breathe'),
  worker: fc.nat(1),
  nth: fc.nat(20),
});

t.test('whatever crosses on the channel, each client has one record, and no slot is left', async (t) => {
  const ends: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), async (steps) => {
      const rig = new Rig();
      await rig.serve([
        { id: 'a', hardLimit: 2 },
        { id: 'b', hardLimit: 1 },
      ]);
      const workers = [await openWorker(t, rig, 2), await openWorker(t, rig, 3)];
      const open: number[][] = [[], []];
      let clients = 0;
      let successes = 0;
      const end = (worker: number, conn: number) => {
        const { engine } = workers[worker]!;
        open[worker]!.splice(open[worker]!.indexOf(conn), 1);
        const isRejected = engine.wish(conn) === 'reject';
        engine.emit(closed(conn, isRejected ? 'rejected' : 'client_reset'));
      };
      for (const { do: what, worker, nth } of steps) {
        const { engine } = workers[worker]!;
        const conns = open[worker]!;
        const conn = conns[nth % Math.max(1, conns.length)];
        if (what === 'accept') {
          conns.push(++clients);
          engine.emit(accepted(clients, `10.0.0.${clients % 7}`));
        } else if (what === 'breathe') {
          for (let turn = 0; turn < nth; turn++) await nextTurn();
        } else if (conn !== undefined) {
          const wish = engine.wish(conn);
          if (what === 'end' || wish === 'reject') end(worker, conn);
          else if (!wish.startsWith('connect')) continue;
          else if (what === 'fail') engine.emit(failed(conn));
          else if (what === 'go on') {
            successes++;
            engine.emit(connected(conn));
          } else {
            successes++;
            conns.splice(conns.indexOf(conn), 1);
            engine.emit(connected(conn), closed(conn));
          }
        }
      }
      while (open.some((conns) => conns.length > 0))
        open.forEach((conns, worker) => void (conns.length > 0 && end(worker, conns[0]!)));
      const look = () => `${clients} clients, ${rig.records.length} records, ${rig.ledger.total} slots`;
      await until('every record', () => rig.records.length >= clients && rig.ledger.total === 0, look);
      // What is still on its way changes nothing.
      for (let turn = 0; turn < 10; turn++) await nextTurn();
      const { counts } = rig.metrics;
      const sum = (prefix: string) =>
        Object.entries(counts).reduce((sum, [name, count]) => sum + (name.startsWith(prefix) ? count : 0), 0);
      if (rig.records.length !== clients || rig.ledger.total !== 0) throw new Error(look());
      if (sum('accepted') !== clients) throw new Error(`${clients} clients, ${counts.accepted} accepted`);
      if (sum('connected ') !== successes) throw new Error(`${successes} connected, ${sum('connected ')} counted`);
      if (rig.desk.waiting !== 0) throw new Error('a pick waits on');
      if (workers.some(({ serve, told }) => serve.size > 0 || told.dropped > 0 || told.failures.length > 0))
        throw new Error('a worker keeps a connection, or said what made no sense');
      if ([...rig.boundary.counts().values()].some((count) => count > 0)) throw new Error('a defect');
      for (let i = 0; i < 7; i++)
        if (rig.openConnections(`10.0.0.${i}`) !== 0)
          throw new Error(`10.0.0.${i} is bound for a connection that is over`);
      for (const { why, close } of rig.records) ends[`${close} ${why}`] = (ends[`${close} ${why}`] ?? 0) + 1;
    }),
    { numRuns: 60 },
  );
  for (const end of ['refused client_left', 'refused all_full', 'finished picked', 'client_reset picked'])
    t.ok((ends[end] ?? 0) > 10, `${end}: ${ends[end]}`);
});

import fc from 'fast-check';
import t from 'tap';
import { InProcessPicker } from '../../src/adapters/inbound/in-process-picker.ts';
import type {
  Asker,
  BackendPicker,
  ClosedReport,
  PickAnswer,
  PickRequest,
  UnservedReport,
} from '../../src/application/ports/backend-picker.ts';
import type { Clock } from '../../src/application/ports/clock.ts';
import { ServeConnections, type ServeOptions } from '../../src/application/serve-connections.ts';
import type { RefusalReason } from '../../src/domain/entities.ts';
import { until } from '../fixtures/until.ts';
import { address, Rig } from './rig.ts';
import { accepted, closed, connected, failed, ScriptedDataPlane } from './scripted-data-plane.ts';

/** Asks in the same process, and holds the answers back until the test lets them go. */
class HoldingPicker implements BackendPicker {
  readonly #picker: InProcessPicker;
  /** Why each would not be served if it were taken back. */
  readonly #asked = new Map<number, RefusalReason>();
  readonly #askers = new Map<number, Asker>();
  readonly answers: (() => void)[] = [];
  readonly reports: string[] = [];
  flushes = 0;
  /** Refuse the next picks as a worker does that cannot reach the primary. */
  lost = false;

  constructor(rig: Rig) {
    this.#picker = new InProcessPicker(rig.service, 1, rig.clock);
  }

  pick(request: PickRequest, asker: Asker): void {
    const { seq } = request;
    this.#askers.set(seq, asker);
    this.#asked.set(seq, this.lost ? 'primary_silent' : 'client_left');
    const answered = (_seq: number, answer: PickAnswer) => {
      this.answers.push(() => this.#asked.delete(seq) && asker.answered(seq, answer));
    };
    if (this.lost) answered(seq, { kind: 'refused', reason: 'primary_silent' });
    else this.#picker.pick(request, { answered });
  }
  cancel(seq: number): RefusalReason {
    const reason = this.#asked.get(seq);
    if (reason === undefined) throw new Error(`pick ${seq} is answered, or was taken back before`);
    this.#asked.delete(seq);
    return reason;
  }
  connected(seq: number, rttMs: number): void {
    this.#picker.connected(seq, rttMs);
  }
  connectFailed(...report: Parameters<BackendPicker['connectFailed']>): void {
    this.#picker.connectFailed(...report);
  }
  closed(seq: number, report: ClosedReport): void {
    this.reports.push(`closed ${report.reason}`);
    this.#picker.closed(seq, report);
  }
  unserved(report: UnservedReport): void {
    this.reports.push(`unserved ${report.reason}`);
    this.#picker.unserved(report);
  }
  synced(round: number): void {
    this.reports.push(`synced ${round}`);
  }
  flush(): void {
    this.flushes++;
  }

  /** The primary says that the answer does not come at once. */
  wait(seq: number): void {
    this.#askers.get(seq)?.waits?.(seq);
  }

  /** Lets every answer go that the primary has given by now. */
  async answer(): Promise<void> {
    await settled();
    for (const answer of this.answers.splice(0)) answer();
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function worker(rig: Rig, connectAttempts = 3, later?: ServeOptions['later'], clock: Clock = rig.clock) {
  const picker = new HoldingPicker(rig);
  let idle = 0;
  let engine: ScriptedDataPlane | undefined;
  const serve = new ServeConnections(
    { picker, clock, connectAttempts, onIdle: () => idle++, ...(later === undefined ? {} : { later }) },
    (onEvents) => {
      engine = new ScriptedDataPlane(onEvents);
      return engine;
    },
  );
  return { picker, serve, engine: engine!, idle: () => idle };
}

t.test('asked for what the sockets know, it answers behind the reports', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, serve, engine } = worker(rig);
  engine.emit(accepted(1));
  await picker.answer();
  engine.emit(connected(1));
  serve.sync(7);
  serve.sync(8);
  t.equal(engine.settles, 2);
  t.same(picker.reports, [], 'not before the engine has told');
  engine.emit(closed(1), { type: 'settled' });
  t.same(picker.reports, ['closed finished', 'synced 7']);
  engine.emit({ type: 'settled' });
  t.same(picker.reports.slice(2), ['synced 8']);
});

t.test('the engine is told of a backend that others may come to wait for', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', hardLimit: 4 }]);
  const { picker, engine } = worker(rig);
  for (const conn of [1, 2, 3]) {
    engine.emit(accepted(conn));
    await picker.answer();
  }
  t.same([...engine.contended], [2, 3], 'from half of its limit on');
});

t.test('accepted, picked, connected, closed', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', host: '10.9.0.1', port: 7000 }]);
  const { picker, serve, engine, idle } = worker(rig);
  engine.emit(accepted(1));
  t.equal(engine.wish(1), 'nothing', 'nothing is dialled before the answer');
  rig.now = 5;
  await picker.answer();
  t.equal(engine.wish(1), 'connect 10.9.0.1:7000');
  engine.emit(connected(1, 7));
  t.equal(rig.ledger.total, 1);
  t.equal(serve.size, 1);
  t.equal(idle(), 0);
  engine.emit(closed(1, 'backend_reset'));
  t.equal(rig.ledger.total, 0);
  t.equal(serve.size, 0);
  t.equal(idle(), 1);
  t.match(rig.records, [
    {
      backend: 'a',
      why: 'picked',
      close: 'backend_reset',
      attempts: 1,
      pickMs: 5,
      connectMs: 7,
      totalMs: 50,
      bytesToBackend: 3,
      bytesToClient: 4,
    },
  ]);
});

t.test('what happens in one loop turn is sent together', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  engine.emit(...Array.from({ length: 100 }, (_, i) => accepted(i + 1)));
  t.equal(picker.flushes, 1);
});

t.test('a failed dial is tried at another backend, as often as allowed', async (t) => {
  const rig = new Rig();
  await rig.serve([
    { id: 'a', port: 1 },
    { id: 'b', port: 2, region: 'us' },
    { id: 'c', port: 3, region: 'ap' },
    { id: 'd', port: 4, region: 'me' },
  ]);
  const { picker, engine } = worker(rig, 3);
  const dialled = new Set<string>();
  engine.emit(accepted(1));
  for (let attempt = 0; attempt < 3; attempt++) {
    await picker.answer();
    t.match(engine.wish(1), /^connect/);
    dialled.add(engine.wish(1));
    t.equal(rig.ledger.total, 1, 'one slot at a time');
    engine.emit(failed(1));
    t.equal(rig.ledger.total, attempt < 2 ? 1 : 0, "the next backend's slot is taken at once");
  }
  t.equal(dialled.size, 3);
  t.equal(engine.wish(1), 'reject');
  t.same(picker.reports, [], 'the client is still there');
  engine.emit(closed(1, 'rejected'));
  t.same(picker.reports, ['unserved connect_failed']);
  t.match(rig.records, [{ backend: null, why: 'connect_failed', close: 'refused', attempts: 3 }]);
});

t.test('a refused client is turned away, and told once', async (t) => {
  const rig = new Rig();
  await rig.serve([]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1));
  await picker.answer();
  t.equal(engine.wish(1), 'reject');
  engine.emit(closed(1, 'rejected'));
  t.same(picker.reports, ['unserved no_backend']);
});

t.test('a client that the engine refused is told as well', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  engine.emit({ type: 'refused', listener: 1, address: address('10.0.0.7') });
  t.same(picker.reports, ['unserved descriptor_limit']);
  t.match(rig.records, [{ client: '10.0.0.7', listener: '127.0.0.1:8081', why: 'descriptor_limit' }]);
});

for (const isAnswered of [false, true]) {
  const when = isAnswered ? 'while the answer to its pick is on its way' : 'before its pick is answered';
  t.test(`a client that leaves ${when} is reported at once, and leaves no slot`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }]);
    const { picker, serve, engine, idle } = worker(rig);
    engine.emit(accepted(1));
    if (isAnswered) await settled();
    t.equal(rig.ledger.total, 1);
    const flushed = picker.flushes;
    engine.emit(closed(1, 'client_reset'));
    t.same(picker.reports, ['unserved client_left']);
    t.equal(picker.flushes, flushed + 1);
    t.equal(rig.ledger.total, 0, 'which says as well that the slot is not used');
    t.equal(rig.boundTo('10.0.0.1'), null);
    t.equal(serve.size, 0);
    t.equal(idle(), 1, 'nothing keeps the worker');
    await picker.answer();
    t.equal(engine.wish(1), 'nothing', 'the answer finds nobody');
    t.same(picker.reports, ['unserved client_left']);
    t.match(rig.records, [{ client: '10.0.0.1', backend: null, why: 'client_left', close: 'refused', totalMs: 50 }]);
    t.equal(rig.records.length, 1);
    t.match(rig.metrics.counts, { accepted: 1, 'refused client_left': 1 });
  });
}

t.test('a client that is told to wait is watched, so that its leave is known as it comes', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1), accepted(2));
  t.same([...engine.watched], [], 'it is no use for an answer that comes at once');
  picker.wait(2);
  t.same([...engine.watched], [2]);
  engine.emit(closed(2, 'client_reset'));
  t.same(picker.reports, ['unserved client_left']);
});

t.test('a client that leaves while another backend is picked for it is reported with what was tried', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1));
  await picker.answer();
  engine.emit(failed(1));
  engine.emit(closed(1, 'client_reset'));
  t.same(picker.reports, ['unserved client_left']);
  t.equal(rig.ledger.total, 0);
  t.match(rig.records, [{ why: 'client_left', attempts: 1, tried: [{ code: 'ECONNREFUSED' }] }]);
  t.equal(rig.metrics.counts.accepted, 1);
});

t.test('a client that leaves in the turn in which its pick was refused undecided is told by that reason', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  picker.lost = true;
  engine.emit(accepted(1), accepted(2), closed(1, 'client_reset'), closed(2, 'drained'));
  t.same(picker.reports, ['unserved primary_silent', 'unserved primary_silent']);
  t.equal(rig.metrics.counts.accepted, 2, 'the primary has not heard of it before');
});

t.test('a client that leaves while it is being refused is told once', async (t) => {
  const rig = new Rig();
  await rig.serve([]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1));
  await picker.answer();
  t.equal(engine.wish(1), 'reject');
  engine.emit(closed(1, 'client_reset'));
  t.same(picker.reports, ['unserved no_backend']);
});

t.test('what opens and ends within one batch is one report, and counts as connected once', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, serve, engine } = worker(rig);
  const told: string[] = [];
  const { connected: tell, closed: end } = picker;
  picker.connected = (seq, rttMs) => {
    told.push(`connected ${seq}`);
    tell.call(picker, seq, rttMs);
  };
  picker.closed = (seq, report) => {
    told.push(`closed ${seq}${report.connected ? ', connected' : ''}`);
    end.call(picker, seq, report);
  };
  engine.emit(accepted(1), accepted(2), accepted(3));
  await picker.answer();
  engine.emit(connected(1, 4), connected(2), closed(1));
  t.same(told, ['closed 1, connected', 'connected 2']);
  t.same(rig.metrics.seconds, [0.004, 0.002]);
  serve.sync(1);
  // What was known before the question is told before the answer, also where its end comes behind.
  engine.emit(connected(3), { type: 'settled' }, closed(3), closed(2));
  t.same(told.slice(2), ['connected 3', 'closed 3', 'closed 2']);
  t.match(rig.metrics.counts, { 'connected a': 3, 'closed finished': 3 });
  t.equal(rig.boundTo('10.0.0.1'), 'a');
});

t.test('the number of a connection that is over serves the next one, and answers do not get mixed up', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1));
  await settled();
  engine.emit(closed(1, 'client_reset'), accepted(1, '10.0.0.2'));
  await picker.answer();
  t.match(engine.wish(1), /^connect/);
  engine.emit(connected(1), closed(1));
  t.same(picker.reports, ['unserved client_left', 'closed finished']);
  t.match(rig.records, [{ client: '10.0.0.1' }, { client: '10.0.0.2' }]);
  t.equal(rig.ledger.total, 0);
});

t.test('the drain deadline leaves turns to others while it cuts', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  // Time passes with each look at the clock.
  let now = 0;
  const { serve, engine } = worker(rig, 3, undefined, { now: () => now++ });
  const conns = Array.from({ length: 20 }, (_, i) => i + 1);
  engine.emit(...conns.map((conn) => accepted(conn)));
  const cut = serve.cutAll();
  const wanted = () => conns.filter((conn) => engine.wish(conn) === 'close').length;
  const first = wanted();
  t.ok(first > 0 && first < 10, `${first} at once`);
  // It ends in between by itself.
  engine.emit(closed(20, 'client_reset'));
  const seen = new Set<number>();
  for (let turn = 0; turn < 20; turn++) {
    seen.add(wanted());
    await settled();
  }
  t.ok(seen.size > 3, `${[...seen]} by and by`);
  t.equal(await cut, 19);
  t.equal(wanted(), 19);
});

t.test('at the drain deadline every connection is cut, in whatever state', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, serve, engine, idle } = worker(rig);
  engine.emit(accepted(1), accepted(2));
  await picker.answer();
  engine.emit(connected(1));
  engine.emit(accepted(3));
  t.equal(await serve.cutAll(), 3);
  t.same(
    [1, 2, 3].map((conn) => engine.wish(conn)),
    ['close', 'close', 'close'],
  );
  engine.emit(closed(1, 'drained'), closed(2, 'drained'), closed(3, 'drained'));
  t.equal(idle(), 1);
  t.same(picker.reports, ['closed drained', 'closed drained', 'unserved pick_timeout'], 'the third did not leave');
  t.equal(rig.ledger.total, 0);
  await picker.answer();
  t.equal(rig.ledger.total, 0);
  t.equal(picker.reports.length, 3);
});

t.test('whatever happens, every client ends in exactly one report and no slot is left', async (t) => {
  const step = fc.record({
    do: fc.constantFrom('accept', 'accept', 'go on', 'go on', 'fail', 'end', 'answer', 'lose', 'cut'),
    nth: fc.nat(20),
  });
  const reported: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, attempts) => {
        const rig = new Rig();
        await rig.serve([
          { id: 'a', hardLimit: 3 },
          { id: 'b', hardLimit: 2 },
          { id: 'c', hardLimit: 1 },
        ]);
        const { picker, serve, engine, idle } = worker(rig, attempts);
        const open: number[] = [];
        let clients = 0;
        const end = (conn: number, reason: 'client_reset' | 'rejected') => {
          open.splice(open.indexOf(conn), 1);
          engine.emit(closed(conn, reason));
        };
        for (const { do: what, nth } of steps) {
          const conn = open[nth % Math.max(1, open.length)];
          const wish = conn === undefined ? '' : (engine.wants.get(conn)?.kind ?? '');
          if (what === 'accept') {
            open.push(++clients);
            engine.emit(accepted(clients, `10.0.0.${clients % 5}`));
          } else if (what === 'answer') await picker.answer();
          else if (what === 'lose') picker.lost = nth % 4 === 0;
          else if (what === 'cut') nth === 0 && (await serve.cutAll());
          else if (conn === undefined) continue;
          else if (what === 'end') end(conn, 'client_reset');
          else if (wish === 'reject') end(conn, 'rejected');
          else if (wish === 'connect') engine.emit(what === 'fail' ? failed(conn) : connected(conn));
        }
        while (open.length > 0) end(open[0]!, 'client_reset');
        await picker.answer();
        if (picker.reports.length !== clients) throw new Error(`${clients} clients, ${picker.reports.length} reports`);
        if (rig.records.length !== clients) throw new Error(`${clients} clients, ${rig.records.length} records`);
        if (rig.ledger.total !== 0 || serve.size !== 0) throw new Error('something is left');
        if (clients > 0 && idle() === 0) throw new Error('the worker was never told that it is idle');
        for (const report of picker.reports) reported[report] = (reported[report] ?? 0) + 1;
      },
    ),
    { numRuns: 400 },
  );
  for (const report of [
    'closed client_reset',
    'unserved client_left',
    'unserved all_full',
    'unserved connect_failed',
    'unserved primary_silent',
  ])
    t.ok((reported[report] ?? 0) > 10, report);
});

t.test('a connection that the engine accepted and has not told of yet keeps a draining worker', async (t) => {
  let undelivered = 0;
  let idle = 0;
  class EarlyDataPlane extends ScriptedDataPlane {
    override get size(): number {
      return super.size + undelivered;
    }
  }
  const picker = new HoldingPicker(new Rig());
  const clock = { now: () => 0 };
  const options = { picker, clock, connectAttempts: 3, onIdle: () => idle++ };
  const serve = new ServeConnections(options, (onEvents) => new EarlyDataPlane(onEvents));
  undelivered = 1;
  t.equal(serve.size, 1, 'it is one that would be cut');
  (serve.dataPlane as EarlyDataPlane).emit();
  t.equal(idle, 0, 'the end of a turn is not the end of the work');
  undelivered = 0;
  (serve.dataPlane as EarlyDataPlane).emit();
  t.equal(idle, 1);
});

/** A worker whose pauses the test ends. */
function pausing(rig: Rig, connectAttempts: number) {
  const pauses: { readonly ms: number; readonly act: () => void; cancelled: boolean }[] = [];
  const later = (ms: number, act: () => void) => {
    const pause = { ms, act, cancelled: false };
    pauses.push(pause);
    return () => {
      pause.cancelled = true;
    };
  };
  return { ...worker(rig, connectAttempts, later), pauses };
}

t.test(
  'a dial that this host has no descriptor for is made again on the same backend, which is not to blame',
  async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a', host: '10.9.0.1', port: 7000 }, { id: 'b' }]);
    const { picker, engine, pauses } = pausing(rig, 3);
    engine.emit(accepted(1));
    await picker.answer();
    const [[backend] = ['']] = rig.ledger.counts();
    for (const ms of [10, 40]) {
      engine.emit(failed(1, 'EMFILE', true));
      t.equal(engine.wish(1), 'nothing');
      t.equal(pauses.at(-1)?.ms, ms);
      t.equal(rig.ledger.connectionsOf(backend!), 1, 'the slot is kept');
      pauses.at(-1)?.act();
      t.match(engine.wish(1), /^connect /);
    }
    engine.emit(connected(1), closed(1));
    t.equal(rig.ledger.total, 0);
    t.equal(rig.boundTo('10.0.0.1'), backend);
    t.match(rig.records, [
      {
        backend,
        why: 'picked',
        attempts: 3,
        tried: [
          { backend, code: 'EMFILE', ms: 0 },
          { backend, code: 'EMFILE', ms: 0 },
        ],
      },
    ]);
    t.match(rig.metrics.counts, { 'lacked EMFILE': 2, 'picked picked': 1 });
    t.same(rig.lacks, [`descriptors EMFILE ${backend}`, `descriptors EMFILE ${backend}`]);
  },
);

for (const code of ['ENFILE', 'ENOMEM']) {
  t.test(`a host that stays without what every dial takes (${code}) turns the client away by that name`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }, { id: 'b' }]);
    const { picker, engine, pauses } = pausing(rig, 2);
    engine.emit(accepted(1));
    await picker.answer();
    engine.emit(failed(1, code, true));
    pauses[0]?.act();
    engine.emit(failed(1, code, true));
    t.equal(engine.wish(1), 'reject');
    engine.emit(closed(1, 'rejected'));
    t.match(rig.records, [{ backend: null, why: 'local_resources', attempts: 2 }]);
    t.equal(rig.ledger.total, 0);
  });
}

for (const [code, pausesBefore] of [
  ['EADDRNOTAVAIL', 1],
  ['ENETUNREACH', 0],
] as const) {
  t.test(`${code}: another backend serves the client meanwhile, which stays bound to its own`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }]);
    const { picker, engine, pauses } = pausing(rig, 3);
    engine.emit(accepted(1));
    await picker.answer();
    engine.emit(connected(1));
    await rig.serve([{ id: 'a' }, { id: 'b' }]);
    engine.emit(accepted(2));
    await picker.answer();
    engine.emit(failed(2, code, true));
    t.equal(pauses.length, pausesBefore);
    if (pausesBefore > 0) {
      pauses[0]?.act();
      engine.emit(failed(2, code, true));
    }
    await picker.answer();
    t.equal(rig.ledger.connectionsOf('b'), 1);
    engine.emit(connected(2), closed(2));
    t.match(rig.records.at(-1), {
      backend: 'b',
      why: 'retried',
      tried: new Array(pausesBefore + 1).fill({ backend: 'a', code }),
    });
    t.equal(rig.boundTo('10.0.0.1'), 'a', 'it is not the backend that failed');
  });

  t.test(`${code} of every backend: the client is turned away by the name of what we lack`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }]);
    const { picker, engine, pauses } = pausing(rig, 3);
    engine.emit(accepted(1));
    await picker.answer();
    engine.emit(failed(1, code, true));
    for (const { act } of pauses) {
      act();
      engine.emit(failed(1, code, true));
    }
    await picker.answer();
    t.equal(engine.wish(1), 'reject');
    engine.emit(closed(1, 'rejected'));
    t.match(rig.records, [{ backend: null, why: pausesBefore > 0 ? 'local_resources' : 'no_route' }]);
    t.same(rig.outcomes.failing(0), []);
  });
}

t.test('a client that goes while its dial waits is not dialled for', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine, pauses } = pausing(rig, 3);
  engine.emit(accepted(1));
  await picker.answer();
  engine.emit(failed(1, 'ENOBUFS', true), closed(1, 'client_reset'));
  t.ok(pauses[0]?.cancelled);
  t.equal(rig.ledger.total, 0);
  t.match(rig.records, [{ backend: 'a', close: 'client_reset', tried: [{ code: 'ENOBUFS' }] }]);
});

t.test('by the timers of the system, too, a dial is made again for whoever is still there', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1), accepted(2));
  await picker.answer();
  // Its pause would be over first, and the engine throws when it is to dial for one that is gone.
  engine.emit(failed(2, 'ENOBUFS', true), closed(2, 'client_reset'), failed(1, 'ENOBUFS', true));
  await until('the dial', () => engine.wish(1).startsWith('connect'));
  engine.emit(connected(1), closed(1));
  t.equal(rig.ledger.total, 0);
});

t.test('the time of picks does not hold the time of dials', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  const { picker, engine } = worker(rig);
  engine.emit(accepted(1));
  rig.now = 3.1234;
  await picker.answer();
  rig.now = 1003.1234;
  engine.emit(failed(1, 'ETIMEDOUT'));
  rig.now = 1005.1234;
  await picker.answer();
  engine.emit(connected(1), closed(1));
  t.match(rig.records, [{ pickMs: 5.123, why: 'retried', attempts: 2, tried: [{ code: 'ETIMEDOUT', ms: 1000 }] }]);
});

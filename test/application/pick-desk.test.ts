import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import type { DeskWorker } from '../../src/application/pick-desk.ts';
import type { PickAnswer } from '../../src/application/ports/backend-picker.ts';
import { until } from '../fixtures/until.ts';
import { address, Rig, type RigOptions, refusedBy } from './rig.ts';

/** A worker that writes down what it is told. */
class Worker implements DeskWorker {
  readonly incarnation: number;
  silentMs = 0;
  readonly told: string[] = [];
  readonly waited: [seq: number, ms: number][] = [];
  flushes = 0;
  readonly #rig: Rig;

  constructor(rig: Rig, incarnation: number) {
    this.#rig = rig;
    this.incarnation = incarnation;
    rig.service.workerJoined(incarnation);
    rig.desk.join(this);
  }

  pick(seq: number, client: string, listener = 0): void {
    this.#rig.desk.pick(this, { seq, listener, address: address(client), tried: [] }, this.#rig.now);
  }
  synced(round: number): boolean {
    return this.#rig.desk.synced(this, round);
  }
  answer(seq: number, answer: PickAnswer | null): void {
    const what = answer?.kind === 'assigned' ? `${answer.backendId} ${answer.why}` : (answer?.reason ?? 'nothing');
    this.told.push(`${seq} ${what}`);
  }
  waits(seq: number, ms: number): void {
    this.waited.push([seq, ms]);
  }
  failed(seq: number): void {
    this.told.push(`${seq} failed`);
  }
  sync(round: number): void {
    this.told.push(`sync ${round}`);
  }
  flush(): void {
    this.flushes++;
  }
  /** What it was told since it was asked last. */
  news(): string[] {
    return this.told.splice(0);
  }
}

const LISTENERS = ['web', 'game'].map((app, port) => ({ name: app, host: '127.0.0.1', port, app }));

/** Workers 2, 3, ... that hold nothing; one backend of listener 0 with one slot, and one of listener 1 without a limit. */
async function setUp(workers = 2, options: RigOptions = {}) {
  const rig = new Rig({ popRegion: 'eu', listeners: LISTENERS, ...options });
  await rig.serve([
    { id: 'near', region: 'eu', app: 'web', hardLimit: 1 },
    { id: 'far', region: 'us', app: 'game' },
  ]);
  return { rig, desk: rig.desk, workers: Array.from({ length: workers }, (_, i) => new Worker(rig, i + 2)) };
}

t.test('picks are decided at the end of their turn, after the reports that came in it', async (t) => {
  const { rig, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1', 0);
  t.same(a.news(), [], 'not at once');
  await nextTurn();
  t.same(a.news(), ['1 near picked']);
  rig.connected(1, a.incarnation);
  // The question of one worker is read before the report of another.
  b.pick(1, '10.0.0.1', 0);
  rig.closed(1, a.incarnation);
  await nextTurn();
  t.same(b.news(), ['1 near bound'], 'without asking anybody');
  t.equal(b.flushes, 1);
  t.equal(a.flushes, 1);
});

t.test('a pick that a full backend stands in the way of waits until all that hold slots have told', async (t) => {
  const { rig, desk, workers } = await setUp(3);
  const [a, b, c] = workers as [Worker, Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  rig.connected(1, a.incarnation);
  c.pick(1, '10.0.0.9', 1);
  await nextTurn();
  a.news();
  c.news();
  b.pick(1, '10.0.0.1');
  await nextTurn();
  t.same([a.news(), b.news(), c.news()], [['sync 1'], [], ['sync 1']]);
  t.equal(desk.waiting, 1);
  t.ok(c.synced(1));
  await nextTurn();
  t.same(b.news(), [], 'not all have told');
  t.notOk(a.synced(7), 'another round');
  t.notOk(b.synced(1), 'nobody asked it');
  rig.closed(1, a.incarnation);
  t.ok(a.synced(1));
  t.notOk(a.synced(1), 'twice');
  await nextTurn();
  t.same(b.news(), ['1 near bound'], 'its own slot was free all the time');
  t.equal(desk.waiting, 0);
  t.equal(rig.metrics.counts.accepted, 3, 'and each client was counted once');
});

t.test('a backend that is truly full refuses, or lets its clients go elsewhere, once all have told', async (t) => {
  const { rig, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  await rig.serve([
    { id: 'near', region: 'eu', app: 'web', hardLimit: 1 },
    { id: 'far', region: 'us', app: 'web' },
    { id: 'solo', region: 'us', app: 'game', hardLimit: 1 },
  ]);
  a.pick(1, '10.0.0.1');
  a.pick(2, '10.0.0.2', 1);
  await nextTurn();
  t.same(a.news(), ['1 near picked', '2 solo picked']);
  b.pick(1, '10.0.0.1');
  b.pick(2, '10.0.0.3');
  b.pick(3, '10.0.0.4', 1);
  await nextTurn();
  t.same([a.news(), b.news()], [['sync 1'], []]);
  a.synced(1);
  await nextTurn();
  t.same(b.news(), ['1 far overflow', '2 far picked', '3 all_full']);
});

t.test('where there is no limit nobody waits and nobody is asked', async (t) => {
  const { workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  b.pick(1, '10.0.0.2');
  await nextTurn();
  a.news();
  b.pick(2, '10.0.0.3', 1);
  await nextTurn();
  t.same(b.news(), ['2 far picked'], 'also while others wait');
  t.same(a.news(), []);
});

t.test('one round is under way at a time; whoever comes meanwhile waits for the next, in order', async (t) => {
  const { rig, workers } = await setUp(3);
  const [a, b, c] = workers as [Worker, Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  a.news();
  b.pick(1, '10.0.0.2');
  await nextTurn();
  t.same(a.news(), ['sync 1']);
  // The slot is free before the first of them is decided: who came later does not take it.
  rig.closed(1, a.incarnation);
  c.pick(1, '10.0.0.3');
  await nextTurn();
  b.pick(2, '10.0.0.4');
  await nextTurn();
  t.same([b.news(), c.news()], [[], []]);
  a.synced(1);
  await nextTurn();
  t.same([a.news(), b.news(), c.news()], [[], ['1 near picked', 'sync 2'], []], 'who holds slots is asked');
  rig.closed(1, b.incarnation);
  b.synced(2);
  await nextTurn();
  t.same([b.news(), c.news()], [['2 all_full'], ['1 near picked']]);
});

t.test('a worker that does not answer is waited for once, until it answers', async (t) => {
  const { rig, desk, workers } = await setUp(2, { patienceMs: 50 });
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  a.news();
  b.pick(1, '10.0.0.1');
  const answered = () => until('an answer', () => b.told.length > 0);
  await answered();
  t.same([a.news(), b.news()], [['sync 1'], ['1 all_full']]);
  b.pick(2, '10.0.0.1');
  await nextTurn();
  await nextTurn();
  t.same([a.news(), b.news()], [[], ['2 all_full']], 'it is not asked again, and nobody waits for it');
  t.ok(a.synced(1), 'late, but well');
  b.pick(3, '10.0.0.1');
  await nextTurn();
  t.same(a.news(), ['sync 3']);
  rig.closed(1, a.incarnation);
  a.synced(3);
  await answered();
  t.match(b.news(), [/^3 (near picked|all_full)$/]);
  t.equal(desk.waiting, 0);
});

t.test('a worker that dies is not waited for, and what it held is free', async (t) => {
  const { rig, desk, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  b.pick(1, '10.0.0.1');
  a.pick(2, '10.0.0.2');
  await nextTurn();
  a.news();
  a.pick(3, '10.0.0.3');
  desk.leave(a);
  rig.service.workerLeft(a.incarnation);
  await nextTurn();
  t.same(b.news(), ['1 near picked']);
  t.same(a.news(), [], 'its own picks are forgotten');
  t.equal(desk.waiting, 0);
  t.equal(rig.ledger.total, 1);
  desk.leave(a);
  t.notOk(desk.synced(a, 1));
});

t.test(
  'clients whose pick was not answered when their worker died are counted once, and have their record',
  async (t) => {
    const { rig, desk, workers } = await setUp();
    const [a, b] = workers as [Worker, Worker];
    b.pick(1, '10.0.0.1');
    await nextTurn();
    a.pick(1, '10.0.0.2');
    await nextTurn();
    t.equal(desk.waiting, 1, 'of a round');
    a.pick(2, '10.0.0.3');
    await nextTurn();
    t.equal(desk.waiting, 2, 'for the next round');
    desk.pick(a, { seq: 3, listener: 1, address: address('10.0.0.4'), tried: [refusedBy('far')] }, rig.now);
    rig.now = 20;
    desk.leave(a);
    t.equal(rig.service.workerLeft(a.incarnation), 0);
    const told = rig.records.map(({ client, backend, why, close, attempts, totalMs }) =>
      [client, backend, why, close, attempts, totalMs].join(' '),
    );
    t.same(told.sort(), [
      '10.0.0.2  worker_died refused 0 20',
      '10.0.0.3  worker_died refused 0 20',
      '10.0.0.4  worker_died refused 1 20',
    ]);
    // The last one was counted when it came first.
    t.match(rig.metrics.counts, { accepted: 3, 'refused worker_died': 3 });
  },
);

t.test('a worker is told of a pick that is not answered at once, and of no other', async (t) => {
  const { workers } = await setUp(3, { patienceMs: 70 });
  const [a, b, c] = workers as [Worker, Worker, Worker];
  a.pick(1, '10.0.0.1');
  a.pick(2, '10.0.0.1', 1);
  await nextTurn();
  t.same(a.waited, []);
  b.pick(7, '10.0.0.2');
  b.pick(8, '10.0.0.3', 1);
  await nextTurn();
  c.pick(9, '10.0.0.4');
  await nextTurn();
  t.same([a.waited, b.waited, c.waited], [[], [[7, 140]], [[9, 140]]], 'for the round under way, and the next');
  t.ok(b.flushes > 0 && c.flushes > 0);
});

t.test('whoever gives a pick up is counted once, whether it was looked at or not', async (t) => {
  const { rig, desk, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  const accepted = () => rig.metrics.counts.accepted;
  a.pick(1, '10.0.0.1');
  desk.withdraw(a, 1);
  t.equal(accepted(), 1, 'before it was looked at');
  a.pick(2, '10.0.0.1');
  await nextTurn();
  desk.withdraw(a, 2);
  t.equal(accepted(), 2, 'when it is answered');
  b.pick(1, '10.0.0.2');
  await nextTurn();
  t.equal(desk.waiting, 1);
  desk.withdraw(b, 1);
  desk.withdraw(b, 1);
  t.equal(desk.waiting, 0);
  t.equal(accepted(), 3, 'while it waits');
  a.synced(1);
  await nextTurn();
  t.same(b.news(), []);
});

t.test('a pick that its worker gave up is not answered', async (t) => {
  const { rig, desk, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1');
  a.pick(2, '10.0.0.2', 1);
  desk.withdraw(a, 2);
  await nextTurn();
  t.same(a.news(), ['1 near picked']);
  b.pick(2, '10.0.0.1');
  b.pick(3, '10.0.0.1');
  await nextTurn();
  b.pick(4, '10.0.0.1');
  await nextTurn();
  desk.withdraw(b, 2);
  desk.withdraw(b, 4);
  rig.closed(1, a.incarnation);
  a.synced(1);
  await nextTurn();
  await nextTurn();
  t.same(b.news(), ['3 near picked']);
});

t.test('beyond so many picks that wait, what is known decides', async (t) => {
  const { desk, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  a.pick(1, '10.0.0.1');
  await nextTurn();
  for (let seq = 1; seq <= 4100; seq++) b.pick(seq, '10.0.0.1');
  await nextTurn();
  t.equal(desk.waiting, 4096);
  t.same(b.news(), ['4097 all_full', '4098 all_full', '4099 all_full', '4100 all_full']);
  a.synced(1);
  await nextTurn();
  t.equal(b.news().length, 4096);
});

t.test('a defect at one pick leaves the others served', async (t) => {
  const { rig, workers } = await setUp();
  const [a] = workers as [Worker];
  const { pick } = rig.service;
  rig.service.pick = function (this: typeof rig.service, ...given: Parameters<typeof pick>) {
    if (given[1].seq === 2) throw new Error('a defect');
    return pick.apply(this, given);
  } as typeof pick;
  for (const seq of [1, 2, 3]) a.pick(seq, `10.0.0.${seq}`, 1);
  await nextTurn();
  t.same(a.news(), ['1 far picked', '2 failed', '3 far picked']);
});

t.test('workers that are heard of later than usual are named, until they leave', async (t) => {
  const { desk, workers } = await setUp();
  const [a, b] = workers as [Worker, Worker];
  t.same(desk.silent(), []);
  a.silentMs = 3000;
  t.same(desk.silent(), [{ incarnation: a.incarnation, silentMs: 3000 }]);
  b.silentMs = 1;
  desk.leave(a);
  t.same(desk.silent(), [{ incarnation: b.incarnation, silentMs: 1 }]);
});

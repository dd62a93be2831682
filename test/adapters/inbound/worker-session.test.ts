import { once } from 'node:events';
import t from 'tap';
import { FromPrimary, FromWorker, PROTOCOL } from '../../../src/ipc/messages.ts';
import { Rig } from '../../application/rig.ts';
import { holdUp } from '../../fixtures/hold-up.ts';
import { until } from '../../fixtures/until.ts';
import { openSession } from '../channel-rig.ts';
import { encode, inbox, type Said, spoilt } from '../wire.ts';

const HELLO = [FromWorker.hello, PROTOCOL, 1];
const pick = (seq: number, address = '10.0.0.1', listener = 0) => ['pick', seq, listener, address];
const closed = (seq: number) => ['closed', seq];
const IPV4 = Uint8Array.of(10, 0, 0, 1);

async function setUp(t: Parameters<typeof openSession>[0], rows: Parameters<Rig['serve']>[0] = [{ id: 'a' }]) {
  const rig = new Rig();
  await rig.serve(rows);
  const opened = await openSession(t, rig);
  const { heard, next } = inbox(opened.theirs);
  const say = (...said: readonly Said[]) => opened.theirs.write(encode(said));
  return { rig, ...opened, heard, next, say };
}

t.test('a worker is welcomed after its hello, and its picks are answered', async (t) => {
  const { rig, told, say, heard, next } = await setUp(t);
  say(HELLO, pick(1), pick(2, '::ffff:10.0.0.1'), pick(3, '10.0.0.1', 1));
  await next(FromPrimary.refused);
  t.same(heard, [
    [FromPrimary.welcome, PROTOCOL],
    [FromPrimary.backend, 0, 'a', '127.0.0.1', 9000],
    ['assigned', 1, 0, 'picked', false],
    ['assigned', 2, 0, 'bound', false],
    [FromPrimary.refused, 3, 'no_backend'],
  ]);
  t.equal(told.welcomes, 1);
  t.equal(told.dropped, 0);
  t.equal(rig.ledger.heldBy(1), 2);
});

t.test('nothing is heard before the hello', async (t) => {
  const { rig, told, say, heard, next } = await setUp(t);
  say(pick(1), [FromWorker.heartbeat], closed(1), HELLO, HELLO, pick(2));
  await next('assigned');
  t.same(
    heard.map(([kind, seq]) => [kind, seq]),
    [
      [FromPrimary.welcome, PROTOCOL],
      [FromPrimary.backend, 0],
      ['assigned', 2],
    ],
  );
  t.equal(told.dropped, 4, 'three too early, and a second hello');
  t.equal(rig.ledger.total, 1);
});

for (const [what, hello, reason] of [
  ['another protocol', [FromWorker.hello, PROTOCOL + 1, 1], /speaks protocol \d+ and the primary \d+:/],
  ['another incarnation', [FromWorker.hello, PROTOCOL, 7], /incarnation 7/],
] as const) {
  t.test(`a worker of ${what} is turned away, and changes nothing`, async (t) => {
    const { rig, told, say, next, heard } = await setUp(t);
    const joined = rig.ledger.mayReserve(7, 1);
    say(hello, pick(1));
    t.match((await next(FromPrimary.denied))[1], reason);
    t.match(await told.failed, reason);
    t.equal(heard.length, 1);
    t.equal(told.welcomes, 0);
    t.equal(rig.ledger.total, 0);
    t.equal(rig.ledger.mayReserve(7, 1), joined);
  });
}

t.test('malformed messages, and those about nothing, are counted and change nothing', async (t) => {
  const { rig, told, say, next } = await setUp(t);
  say(HELLO, pick(1));
  await next('assigned');
  const zeros = new Array(8).fill(0);
  const nonsense: Said[] = [
    [],
    [0],
    [99, 1],
    ['pick it', 1],
    [FromWorker.pickAgain, 2, 0, IPV4],
    [FromWorker.pickAgain, -2, 0, IPV4, []],
    [FromWorker.pickAgain, 2, 0, IPV4, ['a']],
    [FromWorker.pickAgain, 2, 0, IPV4, [], 'more'],
    [FromWorker.pickAgain, 2, 0, '10.0.0.1', []],
    [FromWorker.pickAgain, 2, 0, Uint8Array.of(10, 0, 0), []],
    [FromWorker.connectFailed, 1, null, 1, false, false],
    [FromWorker.abandoned],
    [FromWorker.unserved, 0, 0, IPV4, 'because', 0, []],
    ['bytes', Uint8Array.of(0, ...zeros)],
    ['bytes', Uint8Array.of(99, ...zeros)],
    spoilt(pick(2), () => {}, 31),
    spoilt(pick(2), (view) => view.setUint8(1, 5)),
    spoilt(pick(2), (view) => view.setFloat64(8, -2, true)),
    spoilt(pick(2), (view) => view.setFloat64(8, 2.5, true)),
    spoilt(pick(2), (view) => view.setFloat64(8, 2 ** 53, true)),
    spoilt(pick(2), (view) => view.setFloat64(8, NaN, true)),
    spoilt(['connected', 1, 1], (view) => view.setFloat64(16, NaN, true)),
    spoilt(closed(1), () => {}, 63),
    spoilt(closed(1), (view) => view.setUint8(1, 99)),
    spoilt(closed(1), (view) => view.setFloat64(16, -5, true)),
    spoilt(closed(1), (view) => view.setFloat64(48, Infinity, true)),
    // Well-formed, but about nothing, or not a worker's to say.
    pick(1),
    pick(2, '10.0.0.1', 9),
    closed(2),
    ['connected', 2, 1],
    ['assigned', 1, 0, 'picked', false],
    [FromWorker.connectFailed, 2, 'ECONNREFUSED', 1, false, false],
    [FromWorker.connectFailed, 2, 'EMFILE', 1, true, true],
    [FromWorker.unserved, 0, 9, IPV4, 'all_full', 0, []],
    [FromWorker.synced, 1],
    [FromPrimary.welcome, PROTOCOL],
  ];
  // A record that cannot be read takes the rest of its frame along.
  for (const one of nonsense) say(one);
  // An assignment may cross with its client's leave: it is no fault to give back what is given back already.
  say([FromWorker.abandoned, 2]);
  await until(
    'every one to be dropped',
    () => told.dropped === nonsense.length,
    () => `${told.dropped} were`,
  );
  t.equal(rig.ledger.total, 1);
  t.same(rig.metrics.counts, { accepted: 1, 'picked picked': 1 });
  t.same(rig.records, []);
  t.same(told.failures, [], 'and the worker lives on');
  say(closed(1));
  await until('the slot to be given back', () => rig.ledger.total === 0);
});

const unserved = (seq: number, reason: string) => [FromWorker.unserved, seq, 0, IPV4, reason, 5, []];

for (const when of ['in one breath with its pick', 'when it was answered'] as const) {
  t.test(`a client that leaves ${when} has one record, and no slot`, async (t) => {
    const { rig, told, say, heard, next } = await setUp(t, [{ id: 'a', hardLimit: 1 }]);
    say(HELLO, pick(1));
    if (when === 'when it was answered') await next('assigned', 1);
    // As both sides say it when the assignment crosses with the leave.
    say(unserved(1, 'client_left'), [FromWorker.abandoned, 1]);
    say(pick(2, '10.0.0.2'));
    await next('assigned', 2);
    t.equal(
      heard.some(([kind, seq]) => kind === 'assigned' && seq === 1),
      when === 'when it was answered',
    );
    t.equal(rig.ledger.total, 1);
    t.equal(rig.boundTo('10.0.0.1'), null);
    t.match(rig.records, [{ client: '10.0.0.1', backend: null, why: 'client_left', totalMs: 5 }]);
    t.equal(rig.records.length, 1);
    t.match(rig.metrics.counts, { accepted: 2, 'refused client_left': 1 });
    t.equal(told.dropped, 0);
  });
}

t.test('a client that leaves while it waits for a full backend does not hold up those behind it', async (t) => {
  const { rig, say, heard, next } = await setUp(t, [{ id: 'a', hardLimit: 1 }]);
  say(HELLO, pick(1));
  await next('assigned', 1);
  say(pick(2, '10.0.0.2'), pick(3, '10.0.0.3'));
  t.same(await next(FromPrimary.waits, 2), [FromPrimary.waits, 2, 1_200_000]);
  const [, round] = await next(FromPrimary.sync);
  say([FromWorker.unserved, 2, 0, Uint8Array.of(10, 0, 0, 2), 'client_left', 5, []], closed(1));
  say([FromWorker.synced, round]);
  await next('assigned', 3);
  t.notOk(heard.some(([kind, seq]) => kind === 'assigned' && seq === 2));
  t.equal(rig.ledger.total, 1);
  t.same(
    rig.records.map(({ client, why }) => `${client} ${why}`),
    ['10.0.0.2 client_left', '10.0.0.1 picked'],
  );
  t.equal(rig.metrics.counts.accepted, 3);
});

t.test('a worker learns where a backend is once, and again when it moved', async (t) => {
  const { rig, say, heard, next } = await setUp(t, [{ id: 'a', port: 9000 }]);
  say(HELLO, pick(1), pick(2));
  await next('assigned', 2);
  await rig.serve([{ id: 'a', port: 9001 }]);
  say(pick(3));
  await next('assigned', 3);
  t.same(heard.slice(1), [
    [FromPrimary.backend, 0, 'a', '127.0.0.1', 9000],
    ['assigned', 1, 0, 'picked', false],
    ['assigned', 2, 0, 'bound', false],
    [FromPrimary.backend, 0, 'a', '127.0.0.1', 9001],
    ['assigned', 3, 0, 'bound', false],
  ]);
});

t.test('an owner that cannot count what was dropped costs nothing of what follows', async (t) => {
  const { rig, told, say, next } = await setUp(t);
  Object.defineProperty(told, 'dropped', {
    get: () => 0,
    set: () => {
      throw new Error('no count');
    },
  });
  say(HELLO, [99], pick(1));
  await next('assigned', 1);
  t.equal(rig.boundary.counts().get('worker'), 1);
});

t.test('a worker that sends what is no frame is given up, and holds nothing once its process is gone', async (t) => {
  const { rig, told, say, next, theirs, session } = await setUp(t);
  say(HELLO, pick(1));
  await next('assigned');
  theirs.write(Buffer.alloc(64, 0xff));
  t.match(await told.failed, /over the limit/);
  t.equal(rig.ledger.total, 1, 'while its process lives, so do its connections');
  t.equal(await session.processGone(0), 1);
  t.equal(rig.ledger.total, 0);
});

t.test('what a worker said before it died is heard; the rest it held is given back at once', async (t) => {
  const { rig, say, next, theirs, session } = await setUp(t);
  say(HELLO, pick(1), pick(2, '10.0.0.2'), pick(3, '10.0.0.3'));
  await next('assigned');
  say(closed(1));
  theirs.destroy();
  t.equal(await session.processGone(600_000), 2, 'without waiting for anything but the end of its socket');
  t.equal(rig.ledger.total, 0);
  t.match(rig.records, [{ close: 'finished' }, { close: 'worker_died' }, { close: 'worker_died' }]);
});

t.test("a dead worker's socket that somebody keeps open is not waited for, and not listened to", async (t) => {
  const { rig, say, next, session, theirs } = await setUp(t);
  say(HELLO, pick(1));
  await next('assigned');
  const ended = once(theirs, 'close');
  t.equal(await session.processGone(1), 1);
  await ended;
  t.equal(rig.ledger.total, 0);
  t.notOk(rig.ledger.mayReserve(1, 2));
  t.equal(await session.processGone(1), 1, 'asked again, it says the same');
});

t.test('a worker that said hello and is silent then is given up; one that starts slowly is not', async (t) => {
  const rig = new Rig();
  const starting = await openSession(t, rig, 2, 40);
  const { told, theirs } = await openSession(t, rig, 1, 40);
  theirs.write(encode([HELLO]));
  t.match(await told.failed, /said nothing for 40 ms/);
  t.same(starting.told.failures, [], "its first words are the supervisor's to wait for");
});

t.test('a worker that is heard from lives on, and hears from us', async (t) => {
  const rig = new Rig();
  const { told, theirs } = await openSession(t, rig, 1, 40);
  const { heard } = inbox(theirs);
  theirs.write(encode([HELLO]));
  const beating = setInterval(() => theirs.write(encode([[FromWorker.heartbeat]])), 5);
  t.teardown(() => clearInterval(beating));
  const beats = () => heard.filter(([kind]) => kind === FromPrimary.heartbeat).length;
  await until('heartbeats of several deadlines', () => beats() >= 20);
  t.same(told.failures, []);
});

t.test('a defect that one client meets costs the others of its frame nothing, and no slot', async (t) => {
  const { rig, told, say, heard, next } = await setUp(t);
  // After the reservation: what it took is to be given back.
  const picked = rig.metrics.picked.bind(rig.metrics);
  let picks = 0;
  rig.metrics.picked = (reason) => {
    if (++picks === 2) throw new Error('a defect');
    picked(reason);
  };
  say(HELLO, pick(1, '10.0.0.1'), pick(2, '10.0.0.2'), pick(3, '10.0.0.3'));
  await next(FromPrimary.refused);
  t.same(
    heard.slice(2).map(([kind, seq, reason]) => [kind, seq, kind === FromPrimary.refused ? reason : '']),
    [
      ['assigned', 1, ''],
      [FromPrimary.refused, 2, 'internal_error'],
      ['assigned', 3, ''],
    ],
  );
  t.equal(rig.ledger.heldBy(1), 2);
  t.equal(rig.openConnections('10.0.0.2'), 0);
  t.equal(rig.boundary.counts().get('client'), 1);
  t.match(rig.log.said, [{ fields: { turn: 'client', reason: 'a defect', stack: /worker-session/ } }]);
  t.same(told.failures, [], 'and the worker goes on');
});

t.test('a record that cannot be written costs the end of one connection nothing but the record', async (t) => {
  const { rig, say, next } = await setUp(t);
  say(HELLO, pick(1, '10.0.0.1'), pick(2, '10.0.0.2'));
  await next('assigned');
  rig.records.push = () => {
    throw new Error('no record');
  };
  say(closed(1), closed(2), pick(3));
  await until('the third pick', () => rig.ledger.find(1, 3) !== 0);
  t.equal(rig.ledger.total, 1, 'both slots are back');
  t.equal(rig.openConnections('10.0.0.2'), 0);
  t.equal(rig.boundary.counts().get('client'), 2);
});

t.test('one whose success cannot be counted gives its slot and its binding back all the same', async (t) => {
  const { rig, say, next } = await setUp(t);
  say(HELLO, pick(1));
  await next('assigned');
  rig.metrics.connected = () => {
    throw new Error('a defect');
  };
  say(['closed', 1, { connected: true }], pick(2));
  await next('assigned', 2);
  t.equal(rig.ledger.total, 1);
  t.equal(rig.openConnections('10.0.0.1'), 1);
});

t.test('each connection of a worker that died is given back, whatever one of them meets', async (t) => {
  const { rig, session, say } = await setUp(t);
  say(HELLO, pick(1, '10.0.0.1'), pick(2, '10.0.0.2'), pick(3, '10.0.0.3'));
  await until('three picks', () => rig.ledger.total === 3);
  const push = rig.records.push.bind(rig.records);
  rig.records.push = (record) => {
    if (record.client === '10.0.0.2') throw new Error('no record');
    return push(record);
  };
  t.equal(await session.processGone(0), 3, 'how many were cut is known');
  for (const client of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) t.equal(rig.openConnections(client), 0, client);
  t.equal(rig.records.length, 2);
  t.equal(rig.ledger.total, 0);
});

t.test('an owner that fails is no failure of the worker', async (t) => {
  const { rig, told, say, next } = await setUp(t);
  Object.defineProperty(told, 'booked', {
    get: () => 0,
    set: () => {
      throw new Error('the cap cannot be told');
    },
  });
  say(HELLO, pick(1));
  await next('assigned');
  t.same(told.failures, []);
  t.equal(rig.boundary.counts().get('worker'), 2, 'after the reports, and after the picks');
});

t.test('a worker that spoke while this process was held up is not taken for a silent one', async (t) => {
  const rig = new Rig();
  const { told, theirs } = await openSession(t, rig, 1, 100);
  const { heard, next } = inbox(theirs);
  theirs.write(encode([HELLO]));
  await next(FromPrimary.welcome);
  const beats = heard.length;
  // Behind the poll phase: the session's timer, which is due by then, comes before what the worker said is read.
  await new Promise<void>((resolve) =>
    setImmediate(() => {
      theirs.write(encode([[FromWorker.heartbeat]]));
      setTimeout(resolve, 50);
      holdUp(400);
    }),
  );
  t.same(told.failures, []);
  await until('it to be asked on', () => heard.length > beats);
});

import { once } from 'node:events';
import type net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { MAX_OUTSTANDING_PICKS } from '../../../src/adapters/outbound/channel-picker.ts';
import type { PickAnswer } from '../../../src/application/ports/backend-picker.ts';
import { FromPrimary, FromWorker, PROTOCOL } from '../../../src/ipc/messages.ts';
import { address, Rig } from '../../application/rig.ts';
import { holdUp } from '../../fixtures/hold-up.ts';
import { socketPair } from '../../fixtures/socket-pair.ts';
import { until } from '../../fixtures/until.ts';
import { NEVER_MS, openPicker, openSession } from '../channel-rig.ts';
import { encode, inbox, type Said, spoilt } from '../wire.ts';

/** A picker, and the bare socket that plays the primary. */
async function setUp(t: Test, timeoutMs = NEVER_MS) {
  const [mine, theirs] = await socketPair(t);
  const { heard, next: hear } = inbox(theirs);
  theirs.on('error', () => {});
  const opened = openPicker(mine, 1, timeoutMs, false);
  const say = (...said: readonly Said[]) => theirs.write(encode(said));
  say(KNOWN);
  return { ...opened, mine, theirs, say, hear, heard, ask: asking(opened.picker) };
}

/** Picks, with every answer that each of them gets. */
function asking(picker: ReturnType<typeof openPicker>['picker']) {
  let lastSeq = 0;
  return (client = '10.0.0.1') => {
    const seq = ++lastSeq;
    const answers: PickAnswer[] = [];
    const waits: number[] = [];
    const answer = new Promise<string>((resolve) => {
      const answered = (_seq: number, answer: PickAnswer) => {
        answers.push(answer);
        resolve(answer.kind === 'assigned' ? answer.backendId : answer.reason);
      };
      picker.pick(
        { seq, listener: 0, address: address(client), tried: [] },
        { answered, waits: (seq) => waits.push(seq) },
      );
    });
    picker.flush();
    return { seq, answer, answers, waits };
  };
}

/** The primary has told of backend 0 before it assigns it. */
const KNOWN = [FromPrimary.backend, 0, 'a', '127.0.0.1', 9000];
const assigned = (seq: number, backend = 0) => ['assigned', seq, backend, 'picked', false];

t.test('the first message is the hello', async (t) => {
  const { hear, heard, say, greeted } = await setUp(t);
  t.same(await hear(FromWorker.hello), [FromWorker.hello, PROTOCOL, 1]);
  t.equal(heard.length, 1);
  say([FromPrimary.welcome, PROTOCOL]);
  t.equal(await greeted, null);
});

t.test('a denied worker is told why', async (t) => {
  const { say, greeted } = await setUp(t);
  say([FromPrimary.denied, 'wrong version']);
  t.equal(await greeted, 'wrong version');
});

t.test('a pick that nobody answers times out; its late assignment is abandoned', async (t) => {
  const { ask, say, hear, heard } = await setUp(t, 40);
  const { seq, answer, answers } = ask();
  t.equal(await answer, 'pick_timeout');
  say(assigned(seq), [FromPrimary.refused, 99, 'all_full']);
  t.same(await hear(FromWorker.abandoned), [FromWorker.abandoned, seq]);
  t.equal(answers.length, 1);
  t.equal(heard.filter(([kind]) => kind === FromWorker.abandoned).length, 1, 'a refusal needs no such thing');
});

t.test('a pick that the primary asks to wait for is given up only later', async (t) => {
  const { ask, say, hear } = await setUp(t, 60);
  const [patient, other] = [ask(), ask()];
  await hear('pick', other.seq);
  say([FromPrimary.waits, patient.seq, 600_000], [FromPrimary.waits, 99, 600_000]);
  t.equal(await other.answer, 'pick_timeout');
  t.same(patient.waits, [patient.seq]);
  t.same(other.waits, []);
  // Beats at which it would have been given up.
  t.equal(await ask().answer, 'pick_timeout');
  t.same(patient.answers, []);
  say(assigned(patient.seq));
  t.equal(await patient.answer, 'a');
});

t.test('a pick that was taken back is not answered, and its slot goes back', async (t) => {
  const { ask, say, hear, heard, picker, theirs } = await setUp(t);
  const [one, two] = [ask(), ask()];
  await hear('pick', two.seq);
  t.equal(picker.cancel(one.seq), 'client_left');
  say([FromPrimary.waits, one.seq, 10], assigned(one.seq), assigned(two.seq));
  t.equal(await two.answer, 'a');
  t.same(await hear(FromWorker.abandoned), [FromWorker.abandoned, one.seq]);
  theirs.destroy();
  t.same([one.answers, one.waits], [[], []]);
  t.equal(heard.filter(([kind]) => kind === FromWorker.abandoned).length, 1);
});

t.test('a pick that was refused without a question, and taken back in the same turn, has that reason', async (t) => {
  const { ask, picker, theirs, lost } = await setUp(t);
  theirs.destroy();
  await lost;
  const { seq, answers } = ask();
  t.equal(picker.cancel(seq), 'primary_silent');
  t.equal(picker.cancel(seq), 'client_left', 'it is told once');
  await nextTurn();
  t.same(answers, []);
});

t.test('first picks are records, further ones are messages with what was tried; both families', async (t) => {
  const { picker, hear } = await setUp(t);
  const nobody = { answered: () => {} };
  const tried = [{ backend: 'b', code: 'ECONNREFUSED', ms: 1.5, ours: false }];
  const v6 = address('2001:db8::7');
  picker.pick({ seq: 1, listener: 3, address: v6, tried: [] }, nobody);
  picker.pick({ seq: 2, listener: 4, address: v6, tried }, nobody);
  picker.pick({ seq: 3, listener: 4, address: address('10.0.0.1'), tried }, nobody);
  picker.unserved({ seq: 2, listener: 4, address: v6, reason: 'no_route', totalMs: 7, tried });
  picker.flush();
  t.same(await hear('pick'), ['pick', 1, 3, '2001:db8::7']);
  const dials = [['b', 'ECONNREFUSED', 1.5, false]];
  const bytes = Buffer.from('20010db8000000000000000000000007', 'hex');
  t.same(await hear(FromWorker.pickAgain, 2), [FromWorker.pickAgain, 2, 4, bytes, dials]);
  t.same(await hear(FromWorker.pickAgain, 3), [FromWorker.pickAgain, 3, 4, Buffer.of(10, 0, 0, 1), dials]);
  t.same(await hear(FromWorker.unserved), [FromWorker.unserved, 2, 4, bytes, 'no_route', 7, dials]);
});

t.test('a number stands for the backend that was told last', async (t) => {
  const { ask, say } = await setUp(t);
  const [one, two] = [ask(), ask()];
  const told = [FromPrimary.backend, 0, 'b', '2001:db8::1', 7000];
  say(assigned(one.seq), told, assigned(two.seq));
  await two.answer;
  const common = { kind: 'assigned', why: 'picked', contended: false };
  t.same(one.answers, [{ ...common, backendId: 'a', endpoint: { host: '127.0.0.1', port: 9000 } }]);
  t.same(two.answers, [{ ...common, backendId: 'b', endpoint: { host: '2001:db8::1', port: 7000 } }]);
});

t.test('asked for what the sockets know, it passes the question on, and the answer back', async (t) => {
  const { say, hear, syncs, picker } = await setUp(t);
  say([FromPrimary.sync, 3]);
  await until('the question', () => syncs.length === 1);
  t.same(syncs, [3]);
  picker.synced(3);
  picker.flush();
  t.same(await hear(FromWorker.synced), [FromWorker.synced, 3]);
});

t.test('a slot that was assigned too late is given back', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', hardLimit: 1 }]);
  const { mine, theirs } = await openSession(t, rig);
  const { picker, greeted } = openPicker(theirs, 1, 100);
  await greeted;
  mine.pause();
  const { answer } = asking(picker)();
  t.equal(await answer, 'pick_timeout');
  t.equal(rig.metrics.counts['picked picked'], undefined, 'the primary has not read it yet');
  mine.resume();
  await until(
    'the assignment and its return',
    () => rig.metrics.counts['picked picked'] === 1 && rig.ledger.total === 0,
  );
  t.equal(rig.bindings.size, 0);
});

t.test('while the primary is silent, clients are refused at once; when it is heard again, they are not', async (t) => {
  const { ask, say, hear, heard } = await setUp(t, 40);
  await until('a refusal at once', async () => (await ask().answer) === 'primary_silent');
  const asked = heard.filter(([kind]) => kind === 'pick').length;
  say([FromPrimary.heartbeat]);
  const beats = setInterval(() => say([FromPrimary.heartbeat]), 5);
  t.teardown(() => clearInterval(beats));
  await until('a pick that is asked', async () => {
    void ask();
    return heard.filter(([kind]) => kind === 'pick').length > asked;
  });
  const { seq, answer } = ask();
  await hear('pick', seq);
  say(assigned(seq));
  t.equal(await answer, 'a');
});

t.test('a worker that was itself held up takes the answers that came meanwhile', async (t) => {
  const { ask, say, hear, mine } = await setUp(t, 100);
  const { seq, answer } = ask();
  await hear('pick', seq);
  // Behind the poll phase, so that the timers that are due come before the answer is read: first the picker's own, then
  // this one, with a client that came meanwhile.
  const next = await new Promise<ReturnType<typeof ask>>((resolve) =>
    setImmediate(() => {
      say(assigned(seq));
      setTimeout(() => resolve(ask('10.0.0.2')), 50);
      holdUp(400);
    }),
  );
  t.equal(await answer, 'a');
  await hear('pick', next.seq);
  say(assigned(next.seq));
  t.equal(await next.answer, 'a', 'nor does it believe the primary gone');
  t.notOk(mine.destroyed);
});

t.test('more picks than may be outstanding are refused at once', async (t) => {
  const { ask, say } = await setUp(t);
  const picks = Array.from({ length: MAX_OUTSTANDING_PICKS }, () => ask());
  t.equal(await ask().answer, 'too_many_picks');
  say(assigned(1));
  t.equal(await picks[0]!.answer, 'a');
  const one = ask();
  t.equal(await ask().answer, 'too_many_picks', 'one answer made room for one pick');
  t.equal(one.answers.length, 0);
});

t.test('clients whose picks time out together are turned away a bounded number a turn', async (t) => {
  const { ask } = await setUp(t, 200);
  const picks = Array.from({ length: 2000 }, () => ask());
  const answered = () => picks.filter(({ answers }) => answers.length > 0).length;
  const shares: number[] = [];
  for (let before = 0, now = 0; now < picks.length; before = now) {
    await nextTurn();
    now = answered();
    shares.push(now - before);
    // So long that the next beat, which gives up by itself, comes before the last of them had its turn.
    if (now > 0) holdUp(30);
  }
  t.same(new Set(await Promise.all(picks.map(({ answer }) => answer))), new Set(['pick_timeout']));
  t.ok(Math.max(...shares) <= 256, `${Math.max(...shares)} at most`);
});

t.test('when the primary is lost, every client is refused, and so are later ones', async (t) => {
  const { ask, theirs, lost } = await setUp(t);
  const picks = [ask(), ask(), ask()];
  theirs.destroy();
  await lost;
  t.same(await Promise.all(picks.map(({ answer }) => answer)), ['primary_silent', 'primary_silent', 'primary_silent']);
  t.equal(await ask().answer, 'primary_silent');
});

t.test('what is no message of the primary is passed over', async (t) => {
  const { ask, say } = await setUp(t);
  const { seq, answer, answers } = ask();
  say(
    [],
    [77],
    [FromPrimary.refused, seq],
    [FromPrimary.refused, seq, 'bored'],
    ['pick', seq, 0, '10.0.0.1'],
    assigned(seq, 7),
    spoilt(assigned(seq), (view) => view.setUint8(1, 99)),
    spoilt(assigned(seq), (view) => view.setFloat64(8, -seq, true)),
    assigned(seq),
    assigned(seq),
  );
  t.equal(await answer, 'a');
  t.equal(answers.length, 1);
});

t.test("the worker's last reports reach the primary before it leaves", async (t) => {
  const { picker, theirs, heard } = await setUp(t);
  picker.connectFailed(1, { code: 'ECONNREFUSED', ms: 0.5, ours: false }, false);
  const ended = once(theirs, 'end');
  await new Promise<void>((resolve) => picker.end(resolve));
  await ended;
  t.same(heard.at(-1), [FromWorker.connectFailed, 1, 'ECONNREFUSED', 0.5, false, false]);
});

t.test(
  'over a channel that stalls, recovers and breaks, every pick ends exactly once and no slot is left',
  async (t) => {
    for (let round = 0; round < 5; round++) {
      const rig = new Rig();
      await rig.serve([{ id: 'a', hardLimit: 150 }]);
      const { mine, theirs, session } = await openSession(t, rig);
      const { picker, greeted, lost } = openPicker(theirs, 1, 60);
      await greeted;
      const ask = asking(picker);
      const picks = burst(ask, 200);
      await Promise.race(picks.map(({ answer }) => answer));
      mine.pause();
      picks.push(...burst(ask, 200));
      await picks.at(-1)!.answer;
      mine.resume();
      picks.push(...burst(ask, 50));
      await Promise.race(picks.slice(-50).map(({ answer }) => answer));
      mine.pause();
      picks.push(...burst(ask, 50));
      endOf(round, mine, theirs);
      await lost;
      const ends = await Promise.all(picks.map(({ answer }) => answer));
      t.ok(
        picks.every(({ answers }) => answers.length === 1),
        ends.length > 0 ? `round ${round}` : 'nothing',
      );
      await session.processGone(1000);
      t.equal(rig.ledger.total, 0);
    }
  },
);

function burst(ask: ReturnType<typeof asking>, count: number) {
  return Array.from({ length: count }, (_, i) => ask(`10.0.0.${i}`));
}

/** The two ways in which a channel breaks: from here or from there. */
function endOf(round: number, mine: net.Socket, theirs: net.Socket): void {
  (round % 2 === 0 ? mine : theirs).destroy();
}

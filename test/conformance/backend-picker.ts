import type { Test } from 'tap';
import type { BackendPicker, PickAnswer } from '../../src/application/ports/backend-picker.ts';
import { address, CLOSED, type Rig, refusedBy } from '../application/rig.ts';

/** A picker of worker 1, which has joined, that asks `rig`. */
export interface PickerUnderTest {
  readonly picker: BackendPicker;
  /** Resolves when everything that was flushed has reached the primary's books. */
  readonly arrived: () => Promise<void>;
}

export type MakePicker = (t: Test, rig: Rig) => Promise<PickerUnderTest>;

/** What BackendPicker promises, for any implementation of it. `newRig` makes the primary that it asks. */
export function backendPickerSuite(t: Test, make: MakePicker, newRig: () => Rig): void {
  const setUp = async (t: Test, rows: Parameters<Rig['serve']>[0]) => {
    const rig = newRig();
    await rig.serve(rows);
    const { picker, arrived } = await make(t, rig);
    let lastSeq = 0;
    const pick = (client: string, tried: readonly string[] = [], listener = 0) => {
      const seq = ++lastSeq;
      const answers: PickAnswer[] = [];
      const answer = new Promise<PickAnswer>((resolve) => {
        const answered = (answeredSeq: number, answer: PickAnswer) => {
          t.equal(answeredSeq, seq);
          answers.push(answer);
          resolve(answer);
        };
        picker.pick({ seq, listener, address: address(client), tried: tried.map(refusedBy) }, { answered });
      });
      return { seq, answer, answers };
    };
    return { rig, picker, arrived, pick };
  };

  t.test('an assignment names backend, endpoint and reason, and its slot is held', async (t) => {
    const { rig, picker, pick } = await setUp(t, [{ id: 'a', host: '2001:db8::7', port: 7000 }]);
    const { answer } = pick('10.0.0.1');
    picker.flush();
    const endpoint = { host: '2001:db8::7', port: 7000 };
    t.same(await answer, { kind: 'assigned', backendId: 'a', endpoint, why: 'picked', contended: false });
    t.equal(rig.ledger.heldBy(1), 1);
  });

  t.test('a refusal says why, and holds nothing', async (t) => {
    const { rig, picker, pick } = await setUp(t, [{ id: 'a', hardLimit: 1, app: 'web' }]);
    const picks = [pick('10.0.0.1', [], 1), pick('10.0.0.1'), pick('10.0.0.2'), pick('10.0.0.1', ['a'])];
    picker.flush();
    const answers = await Promise.all(picks.map(({ answer }) => answer));
    t.same(
      answers.map((answer) => (answer.kind === 'refused' ? answer.reason : answer.why)),
      ['no_backend', 'picked', 'all_full', 'connect_failed'],
    );
    t.equal(rig.ledger.total, 1);
  });

  t.test('the answer never comes before the question is put, and comes once', async (t) => {
    const { picker, pick } = await setUp(t, [{ id: 'a' }]);
    const { answer, answers } = pick('10.0.0.1');
    t.equal(answers.length, 0);
    picker.flush();
    t.equal(answers.length, 0);
    await answer;
    const next = pick('10.0.0.2');
    picker.flush();
    await next.answer;
    t.equal(answers.length, 1);
  });

  t.test('many picks of one turn are all answered, each for its own client', async (t) => {
    const { rig, picker, pick } = await setUp(t, [{ id: 'a' }, { id: 'b', app: 'game' }]);
    const picks = Array.from({ length: 2000 }, (_, i) => pick(`10.0.${i >> 8}.${i & 255}`, [], i % 2));
    picker.flush();
    const answers = await Promise.all(picks.map(({ answer }) => answer));
    t.ok(answers.every((answer) => answer.kind === 'assigned'));
    t.ok(answers.every((answer, i) => i % 2 === 0 || (answer.kind === 'assigned' && answer.backendId === 'b')));
    t.equal(rig.ledger.heldBy(1), 2000);
  });

  t.test('reports take effect, in the order of the calls', async (t) => {
    const { rig, picker, pick, arrived } = await setUp(t, [{ id: 'a' }]);
    const [one, two] = [pick('10.0.0.1'), pick('10.0.0.2')];
    picker.flush();
    await Promise.all([one.answer, two.answer]);
    picker.connected(one.seq, 3);
    picker.connectFailed(two.seq, { code: 'ECONNREFUSED', ms: 1, ours: false }, false);
    const retried = pick('10.0.0.2', ['a']);
    picker.closed(one.seq, CLOSED);
    picker.unserved({
      seq: retried.seq,
      listener: 1,
      address: address('10.0.0.2'),
      reason: 'connect_failed',
      totalMs: 9,
      tried: [refusedBy('a')],
    });
    picker.flush();
    await arrived();
    t.match(await retried.answer, { kind: 'refused', reason: 'connect_failed' }, 'its slot was given back before');
    t.equal(rig.ledger.total, 0);
    t.same(rig.metrics.counts, {
      accepted: 2,
      'picked picked': 2,
      'connected a': 1,
      'connectFailed a': 1,
      'closed finished': 1,
      'refused connect_failed': 1,
    });
    t.match(rig.records, [
      { client: '10.0.0.1', backend: 'a', close: 'finished', bytesToBackend: 10, bytesToClient: 20, totalMs: 30 },
      { client: '10.0.0.2', backend: null, why: 'connect_failed', listener: rig.listeners[1]!.name, totalMs: 9 },
    ]);
  });

  t.test('reports about nothing change nothing', async (t) => {
    const { rig, picker, pick, arrived } = await setUp(t, [{ id: 'a' }]);
    const one = pick('10.0.0.1');
    picker.flush();
    await one.answer;
    picker.connected(77, 1);
    picker.connectFailed(77, { code: 'ECONNREFUSED', ms: 1, ours: false }, false);
    picker.closed(77, CLOSED);
    picker.unserved({ seq: 0, listener: 9, address: address('10.0.0.1'), reason: 'all_full', totalMs: 1, tried: [] });
    picker.flush();
    await arrived();
    t.equal(rig.ledger.total, 1);
    t.same(rig.metrics.counts, { accepted: 1, 'picked picked': 1 });
    t.same(rig.records, []);
  });

  t.test('a connection that came and went within one turn is one report, and counts as connected', async (t) => {
    const { rig, picker, pick, arrived } = await setUp(t, [{ id: 'a' }]);
    const one = pick('10.0.0.1');
    picker.flush();
    await one.answer;
    picker.closed(one.seq, { ...CLOSED, connected: true });
    picker.closed(one.seq, { ...CLOSED, connected: true });
    picker.flush();
    await arrived();
    t.same(rig.metrics.counts, { accepted: 1, 'picked picked': 1, 'connected a': 1, 'closed finished': 1 });
    t.equal(rig.boundTo('10.0.0.1'), 'a', 'as one that was reported in two');
    t.equal(rig.records.length, 1);
  });

  for (const when of ['before it was asked', 'while it is asked', 'when the primary has answered'] as const) {
    t.test(`a pick that is taken back ${when} is not answered, and leaves one record and no slot`, async (t) => {
      const { rig, picker, pick, arrived } = await setUp(t, [{ id: 'a', hardLimit: 1 }]);
      const { seq, answers } = pick('10.0.0.1');
      if (when !== 'before it was asked') picker.flush();
      // In one process it has by now, and one turn of the microtasks later the answer is there.
      if (when === 'when the primary has answered' && rig.ledger.total === 0) await picked(rig);
      const report = { seq, listener: 0, address: address('10.0.0.1'), totalMs: 3, tried: [] };
      picker.unserved({ ...report, reason: picker.cancel(seq) });
      picker.flush();
      await arrived();
      t.equal(rig.ledger.total, 0);
      t.equal(rig.boundTo('10.0.0.1'), null);
      t.same(answers, []);
      t.match(rig.records, [{ client: '10.0.0.1', backend: null, why: 'client_left', close: 'refused', totalMs: 3 }]);
      t.equal(rig.records.length, 1);
      t.equal(rig.metrics.counts.accepted, 1);
      t.equal(rig.metrics.counts['refused client_left'], 1);
      const next = pick('10.0.0.2');
      picker.flush();
      t.match(await next.answer, { kind: 'assigned' }, 'its slot is there for the next');
      await arrived();
      t.same(answers, []);
    });
  }
}

/** Resolves in the turn in which the primary assigned a slot, before the worker has heard of it. */
function picked(rig: Rig): Promise<void> {
  return new Promise((resolve) => {
    const unwatch = rig.ledger.watch(() => {
      unwatch();
      resolve();
    });
  });
}

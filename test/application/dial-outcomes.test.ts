import t from 'tap';
import { BELIEVED_MS, DialOutcomes } from '../../src/application/dial-outcomes.ts';
import { TellLacks } from '../../src/application/tell-lacks.ts';

const refused = (outcomes: DialOutcomes, now: number, backend = 'a', listener = 'L') =>
  outcomes.failed(listener, backend, 'ECONNREFUSED', false, now);

t.test(
  'a listener is down when all of its dials have failed for ten seconds, and up with the first that does not',
  async (t) => {
    const outcomes = new DialOutcomes();
    for (const now of [0, 4000, 9999]) refused(outcomes, now, `b${now}`);
    t.equal(outcomes.down('L', 9999), null, 'not for so long');
    outcomes.failed('L', 'a', 'ETIMEDOUT', false, 10_000);
    t.match(outcomes.down('L', 10_000), { since: 0, last: 10_000, count: 4, code: 'ETIMEDOUT' });
    t.equal(outcomes.down('another', 10_000), null);
    outcomes.succeeded('another', 'x');
    t.ok(outcomes.down('L', 10_000));
    outcomes.succeeded('L', 'z');
    t.equal(outcomes.down('L', 10_000), null);
    refused(outcomes, 10_001);
    t.equal(outcomes.down('L', 10_001), null, 'counted anew');
  },
);

t.test('one moment of failures is no rule, however long it is ago', async (t) => {
  const outcomes = new DialOutcomes();
  for (let i = 0; i < 100; i++) refused(outcomes, 5);
  t.equal(outcomes.down('L', 30_000), null);
});

t.test('what nobody has dialled since is not believed for ever', async (t) => {
  const outcomes = new DialOutcomes();
  for (const now of [0, 5000, 10_000]) refused(outcomes, now);
  t.ok(outcomes.down('L', 10_000 + BELIEVED_MS - 1));
  t.equal(outcomes.failing(10_000 + BELIEVED_MS - 1).length, 1);
  t.equal(outcomes.down('L', 10_000 + BELIEVED_MS), null);
  t.same(outcomes.failing(10_000 + BELIEVED_MS), []);
  refused(outcomes, 10_000 + BELIEVED_MS);
  t.equal(outcomes.down('L', 10_000 + BELIEVED_MS), null, 'nor continued');
});

t.test('a backend fails by rule from the third failure in a row on', async (t) => {
  const outcomes = new DialOutcomes();
  for (const now of [1, 2]) refused(outcomes, now, 'a');
  t.same(outcomes.failing(2), []);
  refused(outcomes, 3, 'a');
  t.match(outcomes.failing(3), [['a', { count: 3, code: 'ECONNREFUSED' }]]);
  outcomes.succeeded('L', 'a');
  t.same(outcomes.failing(3), []);
});

t.test('what this host lacks is no failure of a backend', async (t) => {
  const told: string[] = [];
  const outcomes = new DialOutcomes({
    happened: (...lack) => void told.push(lack.join(' ')),
    turnedAway: (reason) => void told.push(reason),
  });
  for (const now of [0, 5000, 10_000]) outcomes.failed('L', 'a', 'EMFILE', true, now);
  t.same(outcomes.failing(10_000), []);
  t.ok(outcomes.down('L', 10_000), 'but its clients are not served');
  t.match(outcomes.lacks(10_000), [['descriptors', { count: 3, code: 'EMFILE' }]]);
  t.same(outcomes.lacks(10_000 + BELIEVED_MS), []);
  t.same(told, ['descriptors EMFILE a', 'descriptors EMFILE a', 'descriptors EMFILE a']);
});

t.test("a client that leaves before it has a backend is nobody's lack", async (t) => {
  const told: string[] = [];
  const outcomes = new DialOutcomes({ happened: () => told.push('a lack'), turnedAway: (reason) => told.push(reason) });
  outcomes.refused('client_left', 0);
  outcomes.refused('pick_timeout', 0);
  t.same(told, ['pick_timeout']);
  t.match(outcomes.turnedAway(0), [['pick_timeout', {}]]);
  t.equal(outcomes.turnedAway(0).length, 1);
});

t.test('what a router on the way says is no lack of ours', async (t) => {
  const outcomes = new DialOutcomes();
  for (const now of [0, 1, 2]) outcomes.failed('L', 'a', 'EHOSTUNREACH', false, now);
  t.match(outcomes.failing(2), [['a', { count: 3, code: 'EHOSTUNREACH' }]]);
  t.same(outcomes.lacks(2), []);
});

t.test('the backends that are kept are bounded; the one that was heard of least lately goes', async (t) => {
  const outcomes = new DialOutcomes();
  for (let round = 0; round < 3; round++) for (let i = 0; i < 1000; i++) refused(outcomes, round, `b${i}`);
  t.equal(outcomes.failing(3).length, 1000);
  for (let i = 0; i < 3; i++) refused(outcomes, 3, 'new');
  const failing = outcomes.failing(3).map(([id]) => id);
  t.equal(failing.length, 1000);
  t.ok(failing.includes('new') && !failing.includes('b0') && failing.includes('b1'));
});

t.test('a lack is told once a minute, with what to do and how often it was', async (t) => {
  const clock = { at: 500_000, now: () => clock.at };
  const records: unknown[] = [];
  const write = (fields: object, message: string) => void records.push({ ...fields, message });
  const lacks = new TellLacks({ debug: write, info: write, warn: write, error: write }, clock);
  for (; clock.at < 560_000; clock.at += 10_000) lacks.happened('ports', 'EADDRNOTAVAIL', 'a');
  lacks.happened('ports', 'EADDRNOTAVAIL', 'b');
  lacks.happened('route', 'ENETUNREACH', 'c');
  t.match(records, [
    { code: 'EADDRNOTAVAIL', backend: 'a', before: 0, advice: /ip_local_port_range/, reason: 'local_resources' },
    { code: 'EADDRNOTAVAIL', backend: 'b', before: 5 },
    { code: 'ENETUNREACH', backend: 'c', before: 0, advice: /ip route/, reason: 'no_route' },
  ]);
  t.equal(records.length, 3);
  for (let i = 0; i < 3; i++) lacks.turnedAway('descriptor_limit');
  clock.at += 60_000;
  lacks.turnedAway('descriptor_limit');
  t.match(records.slice(3), [
    { reason: 'descriptor_limit', before: 0, advice: /ulimit -n/, message: 'clients are turned away' },
    { reason: 'descriptor_limit', before: 2 },
  ]);
  t.equal(records.length, 5);
});

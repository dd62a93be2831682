import t from 'tap';
import { rollAndTell } from '../../src/application/roll-workers.ts';
import { DRAIN_MS, running, settled, stage } from './stage.ts';

t.test('the start is over when every worker accepts', async (t) => {
  const { launcher, supervisor } = stage(t, 2);
  let started = false;
  const starting = supervisor.start().then(() => {
    started = true;
  });
  t.same(launcher.told(), ['1 starts', '2 starts']);
  t.match(supervisor.health(), { desired: 2, starting: 2, serving: 0, draining: 0, crashes: 0, restartInMs: 0 });
  launcher.worker(1).accepts();
  await settled();
  t.notOk(started);
  launcher.worker(2).accepts();
  await starting;
  t.same(
    supervisor.list().map(({ pid, incarnation, state }) => [pid, incarnation, state]),
    [
      [1001, 1, 'serving'],
      [1002, 2, 'serving'],
    ],
  );
});

t.test('the start is over with fewer workers, when fewer are desired meanwhile', async (t) => {
  const { launcher, supervisor } = stage(t, 2);
  const starting = supervisor.start();
  launcher.worker(1).accepts();
  supervisor.scale(1);
  await starting;
  t.pass('resolved');
});

t.test('a roll replaces one worker at a time, each after its successor accepts', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  const rolling = supervisor.roll();
  t.same(launcher.told(), ['3 starts'], 'the predecessor serves on');
  await t.rejects(supervisor.roll(), { code: 'EDGE_ERR_BUSY' });
  launcher.worker(3).accepts();
  await settled();
  t.same(launcher.told(), ['3 accepts', '1 drains', '4 starts']);
  launcher.worker(4).accepts();
  t.same(await rolling, { replaced: 2, draining: 0, resetInMs: 0, stopping: false });
  t.same(launcher.told(), ['4 accepts', '2 drains']);
  t.match(supervisor.health(), { serving: 2, draining: 2 });
  launcher.worker(1).exits();
  launcher.worker(2).exits();
  t.same(launcher.told(), ['1 exits', '2 exits'], 'and nobody is started in their place');
  const again = supervisor.roll();
  launcher.worker(5).accepts();
  await settled();
  launcher.worker(6).accepts();
  t.match(await again, { replaced: 2 }, 'a further roll is possible');
});

t.test('a successor that fails ends the roll, and its predecessor serves on', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  const rolling = supervisor.roll();
  launcher.worker(3).exits({ code: 1, reason: 'cannot listen' });
  await t.rejects(rolling, { code: 'EDGE_ERR_WORKER_START', message: /cannot listen/ });
  t.same(launcher.told(), ['3 starts', '3 exits']);
  t.match(supervisor.health(), { serving: 2, draining: 0, lastCrash: 'cannot listen' });
  pass(60_000);
  t.same(launcher.told(), [], 'no worker is missing');
  const again = supervisor.roll();
  launcher.worker(4).accepts();
  await settled();
  t.same(launcher.told(), ['4 starts', '4 accepts', '1 drains', '5 starts']);
  launcher.worker(5).accepts();
  t.match(await again, { replaced: 2 });
});

t.test('a successor that hangs is killed, which ends the roll', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 1);
  const rolling = supervisor.roll();
  pass(30_000);
  t.match(launcher.worker(2).killed, /did not accept within 30000 ms/);
  launcher.worker(2).exits({ signal: 'SIGKILL', reason: launcher.worker(2).killed });
  await t.rejects(rolling, { code: 'EDGE_ERR_WORKER_START' });
  t.match(supervisor.list(), [{ incarnation: 1, state: 'serving' }]);
});

t.test('a worker that dies while its successor starts is not replaced twice', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 1);
  const rolling = supervisor.roll();
  launcher.worker(1).exits({ signal: 'SIGSEGV' });
  pass(60_000 / 4);
  t.same(launcher.told(), ['1 starts'.replace('1', '2'), '1 exits']);
  launcher.worker(2).accepts();
  t.match(await rolling, { replaced: 1 });
  t.match(supervisor.list(), [{ incarnation: 2, state: 'serving' }]);
});

t.test('more workers start at once; of too many, the least busy ones drain', async (t) => {
  const { launcher, supervisor, held } = await running(t, 2);
  supervisor.scale(4);
  t.same(launcher.told(), ['3 starts', '4 starts']);
  launcher.worker(3).accepts();
  launcher.worker(4).accepts();
  launcher.told();
  for (const [incarnation, connections] of [
    [1, 50],
    [2, 3],
    [3, 20],
    [4, 7],
  ] as const)
    held.set(incarnation, connections);
  supervisor.scale(2);
  t.same(launcher.told(), ['2 drains', '4 drains']);
  t.equal(supervisor.desired, 2);
  t.match(supervisor.list(), [
    { incarnation: 1, state: 'serving', connections: 50 },
    { incarnation: 2, state: 'draining', connections: 3 },
    { incarnation: 3, state: 'serving', connections: 20 },
    { incarnation: 4, state: 'draining', connections: 7 },
  ]);
  launcher.worker(2).exits();
  t.same(launcher.told(), ['2 exits']);
  supervisor.scale(3);
  t.same(launcher.told(), ['5 starts'], 'a draining worker does not count');
});

t.test('a worker that asks to go is drained after its successor accepts', async (t) => {
  const { launcher } = await running(t, 1);
  launcher.worker(1).events.retiring();
  launcher.worker(1).events.retiring();
  t.same(launcher.told(), ['2 starts'], 'once, however often it asks');
  launcher.worker(2).accepts();
  await settled();
  t.same(launcher.told(), ['2 accepts', '1 drains']);
});

t.test('a worker whose successor fails may ask again', async (t) => {
  const { launcher } = await running(t, 1);
  launcher.worker(1).events.retiring();
  launcher.worker(2).exits({ code: 1 });
  await settled();
  launcher.worker(1).events.retiring();
  launcher.worker(3).accepts();
  await settled();
  t.same(launcher.told(), ['2 starts', '2 exits', '3 starts', '3 accepts', '1 drains']);
});

t.test('a draining worker that does not go is killed, some grace after its deadline', async (t) => {
  const { launcher, supervisor, pass } = await running(t, 2);
  supervisor.scale(1);
  pass(DRAIN_MS);
  t.equal(launcher.worker(1).killed, '', 'its last reports get their time');
  pass(2_000);
  t.match(launcher.worker(1).killed, /32000 ms/);
  launcher.worker(1).exits({ signal: 'SIGKILL', reason: launcher.worker(1).killed, cut: 3 });
  t.match(supervisor.health(), { serving: 1, crashes: 0 }, 'that is no crash');
});

t.test('a stop drains every worker and is over when the last one is gone', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  let stopped = false;
  const stopping = supervisor.stop().then(() => {
    stopped = true;
  });
  t.same(launcher.told(), ['1 drains', '2 drains']);
  t.throws(() => supervisor.scale(4), { code: 'EDGE_ERR_BUSY' });
  await t.rejects(supervisor.roll(), { code: 'EDGE_ERR_BUSY' });
  launcher.worker(1).events.retiring();
  launcher.worker(1).exits();
  await settled();
  t.notOk(stopped);
  launcher.worker(2).exits({ code: 1 });
  await stopping;
  t.same(launcher.told(), ['1 exits', '2 exits'], 'nobody is replaced any more');
});

t.test('a stop during a crash loop starts nobody', async (t) => {
  const { launcher, supervisor, pass } = stage(t, 1);
  void supervisor.start();
  launcher.worker(1).exits({ code: 1 });
  await supervisor.stop();
  pass(60_000);
  t.same(launcher.told(), ['1 starts', '1 exits']);
});

t.test('a stop during a roll drains the successor as well, and is no failure of the roll', async (t) => {
  const { launcher, supervisor } = await running(t, 1);
  const rolling = supervisor.roll();
  const stopping = supervisor.stop();
  t.same(launcher.told(), ['2 starts', '1 drains', '2 drains']);
  t.match(await rolling, { replaced: 0, stopping: true });
  launcher.worker(1).exits();
  launcher.worker(2).exits();
  await stopping;
  t.same(supervisor.list(), []);
});

t.test('fewer workers wanted during a roll: those of the old code go first, and the roll goes on', async (t) => {
  const { launcher, supervisor } = await running(t, 3);
  const rolling = supervisor.roll();
  supervisor.scale(2);
  t.same(launcher.told(), ['4 starts', '2 drains'], 'not the successor');
  launcher.worker(4).accepts();
  await settled();
  t.same(launcher.told(), ['4 accepts', '1 drains', '5 starts']);
  supervisor.scale(1);
  await settled();
  t.same(launcher.told(), ['5 drains', '3 drains'], 'which leaves the new one, and nobody of the old code');
  t.match(await rolling, { replaced: 1, stopping: false });
  t.match(
    supervisor.list().filter(({ state }) => state !== 'draining'),
    [{ incarnation: 4, state: 'serving' }],
  );
});

t.test('more workers wanted during a roll: they are of the new code and stay', async (t) => {
  const { launcher, supervisor } = await running(t, 1);
  const rolling = supervisor.roll();
  supervisor.scale(2);
  t.same(launcher.told(), ['2 starts', '3 starts']);
  launcher.worker(3).accepts();
  launcher.worker(2).accepts();
  t.match(await rolling, { replaced: 1 });
  t.same(launcher.told(), ['3 accepts', '2 accepts', '1 drains']);
});

t.test('a roll says what is still open and until when, and drains count what they reset', async (t) => {
  const { launcher, supervisor, held, pass } = await running(t, 2);
  held.set(1, 3);
  held.set(2, 1);
  const rolling = supervisor.roll();
  launcher.worker(3).accepts();
  await settled();
  pass(1_000);
  held.set(3, 5);
  launcher.worker(4).accepts();
  t.same(await rolling, { replaced: 2, draining: 4, resetInMs: DRAIN_MS, stopping: false });
  t.match(supervisor.list(), [
    { incarnation: 1, resetInMs: DRAIN_MS - 1_000 },
    { incarnation: 2, resetInMs: DRAIN_MS },
    { incarnation: 3, resetInMs: null },
    { incarnation: 4, resetInMs: null },
  ]);
  launcher.worker(1).exits({ cut: 3 });
  launcher.worker(2).exits({ cut: 1 });
  launcher.worker(3).exits({ signal: 'SIGKILL', cut: 9 });
  t.same(supervisor.drains(), { drainMs: DRAIN_MS, reset: 4 }, 'a death is no drain');
});

t.test('a worker that is asked to go before it serves is replaced once it does', async (t) => {
  const { launcher, supervisor } = stage(t, 1);
  void supervisor.start();
  launcher.worker(1).events.retiring();
  t.same(launcher.told(), ['1 starts']);
  launcher.worker(1).accepts();
  launcher.worker(2).accepts();
  await settled();
  t.same(launcher.told(), ['1 accepts', '2 starts', '2 accepts', '1 drains']);
});

t.test('a worker whose last words come after its end joins nothing', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  supervisor.scale(3);
  launcher.worker(3).exits({ code: 1 });
  launcher.worker(3).accepts();
  t.equal(supervisor.health().serving, 2);
  t.equal(launcher.worker(3).connectionCap, 0);
  t.equal(launcher.worker(1).connectionCap, 48, 'the mean of two, not of three');
});

t.test('a worker that drains does not count for the connection cap', async (t) => {
  const { launcher, supervisor, held } = await running(t, 3);
  for (const incarnation of [1, 2, 3]) held.set(incarnation, 1000);
  supervisor.scale(2);
  t.equal(launcher.worker(1).drained, true);
  for (const incarnation of [2, 3]) t.equal(launcher.worker(incarnation).connectionCap, 1125, `of ${incarnation}`);
});

t.test('a worker that died does not count for the connection cap', async (t) => {
  const { launcher, held } = await running(t, 3);
  for (const incarnation of [2, 3]) held.set(incarnation, 1000);
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  for (const incarnation of [2, 3]) t.equal(launcher.worker(incarnation).connectionCap, 1125, `of ${incarnation}`);
});

t.test('the end of a successor that came to nothing does not touch the one that starts in its stead', async (t) => {
  const { launcher, supervisor, held } = await running(t, 2);
  held.set(1, 5);
  launcher.worker(1).events.retiring();
  supervisor.scale(1);
  await settled();
  t.same(launcher.told(), ['3 starts', '3 drains', '2 drains']);
  launcher.worker(1).events.retiring();
  launcher.worker(3).exits();
  t.same(launcher.told(), ['4 starts', '3 exits']);
  launcher.worker(4).accepts();
  await settled();
  t.same(launcher.told(), ['4 accepts', '1 drains']);
});

t.test('what became of a roll that nobody waits for is in the log', async (t) => {
  const { launcher, supervisor, log } = await running(t, 1);
  rollAndTell(supervisor, log);
  rollAndTell(supervisor, log);
  await settled();
  launcher.worker(2).exits({ code: 1, reason: 'cannot listen' });
  await settled();
  t.match(
    log.said.filter(({ message }) => /^roll (?!started$)/.test(message)),
    [
      { level: 'warn', message: 'roll not started', fields: { reason: /under way/ } },
      { level: 'error', message: /serve on$/, fields: { code: 'EDGE_ERR_WORKER_START', reason: /cannot listen/ } },
    ],
  );
});

t.test('one that drains before it came to serve has a second to hear of it, unless it had come to serve', async (t) => {
  const { launcher, supervisor, pass } = stage(t, 2);
  void supervisor.start();
  void supervisor.stop();
  launcher.worker(2).accepts();
  pass(1_000);
  t.match(launcher.worker(1).killed, /1000 ms/);
  t.equal(launcher.worker(2).killed, '');
  pass(DRAIN_MS + 1_000);
  t.match(launcher.worker(2).killed, /32000 ms/);
});

t.test('what is asked for already is not said to be done', async (t) => {
  const { launcher, supervisor, log } = await running(t, 2);
  log.said.length = 0;
  supervisor.scale(2);
  t.same(launcher.told(), []);
  t.same(log.said, []);
});

t.test('stopped at once, every worker is killed', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  void supervisor.stop();
  launcher.told();
  const gone = supervisor.killAll();
  t.same(launcher.told(), ['1 killed', '2 killed']);
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  launcher.worker(2).exits({ signal: 'SIGKILL' });
  await gone;
});

t.test('only a roll brings new code, and what comes to serve in it is what later ones run', async (t) => {
  const { launcher, supervisor } = await running(t, 2);
  launcher.worker(1).exits({ signal: 'SIGKILL' });
  launcher.worker(3).accepts();
  launcher.worker(2).events.retiring();
  launcher.worker(4).accepts();
  await settled();
  t.same([launcher.fresh, launcher.takenUp], [[], 0]);
  const refused = supervisor.roll();
  launcher.worker(5).exits({ code: 1, reason: 'it speaks another protocol' });
  await t.rejects(refused, { code: 'EDGE_ERR_WORKER_START' });
  t.same([launcher.fresh, launcher.takenUp], [[5], 0], 'not what was refused');
  const rolling = supervisor.roll();
  launcher.worker(6).accepts();
  await settled();
  supervisor.scale(3);
  launcher.worker(7).accepts();
  await rolling;
  t.same([launcher.fresh, launcher.takenUp], [[5, 6, 7, 8], 2], 'one that is added meanwhile, too');
  launcher.worker(6).exits({ signal: 'SIGKILL' });
  t.same(launcher.fresh, [5, 6, 7, 8]);
});

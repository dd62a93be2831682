import { EventEmitter } from 'node:events';
import t from 'tap';
import { wireSignals } from '../../../src/adapters/inbound/signals.ts';
import { countingBoundary } from '../../fixtures/boundary.ts';

function setUp(isTerminal = false) {
  const source = new EventEmitter();
  const clock = { at: 0, now: () => clock.at };
  const boundary = countingBoundary();
  const done: string[] = [];
  const note =
    (what: string) =>
    (detail: unknown = '') =>
      done.push(`${what} ${String(detail)}`.trim());
  wireSignals(
    { boundary, clock, source, isTerminal },
    {
      stop: note('stop'),
      stopAtOnce: note('at once'),
      roll: () => note('roll')(),
      scaleBy: note('scale'),
      reload: () => note('reload')(),
    },
  );
  const send = (signal: string) => source.emit(signal, signal);
  return { source, clock, boundary, done, send };
}

t.test('each signal does what it stands for', async (t) => {
  const { done, send } = setUp();
  for (const signal of ['SIGUSR2', 'SIGHUP', 'SIGTTIN', 'SIGTTOU']) send(signal);
  t.same(done, ['roll', 'reload', 'scale 1', 'scale -1']);
});

t.test('a stop is asked for in four ways, and a second one, by whichever of them, waits for nothing', async (t) => {
  const ways = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'shutdown'];
  for (const first of ways) {
    for (const second of ways) {
      const { source, clock, done, send } = setUp();
      const ask = (way: string) => (way === 'shutdown' ? source.emit('message', way) : send(way));
      ask(first);
      t.same(done, [`stop ${first}`]);
      clock.at = 201;
      ask(second);
      t.same(done, [`stop ${first}`, `at once ${second}`]);
    }
  }
});

t.test("a terminal's interrupt comes twice, as npm passes it on: that is one", async (t) => {
  const { clock, done, send } = setUp();
  clock.at = 5_000;
  send('SIGINT');
  clock.at = 5_200;
  send('SIGINT');
  t.same(done, ['stop SIGINT']);
  clock.at = 5_201;
  send('SIGINT');
  t.same(done, ['stop SIGINT', 'at once SIGINT']);
});

t.test('on a terminal, the signals of job control say nothing of workers', async (t) => {
  const { done, send } = setUp(true);
  send('SIGTTIN');
  send('SIGTTOU');
  t.same(done, []);
});

t.test('an action that fails is told, and the next signal is heard', async (t) => {
  const { source, boundary, done } = setUp();
  wireSignals(
    { boundary, clock: { now: () => 0 }, source, isTerminal: false },
    {
      stop: () => Promise.reject(new Error('late')),
      stopAtOnce: () => {},
      roll: () => {
        throw new Error('a defect');
      },
      scaleBy: () => {},
      reload: () => {},
    },
  );
  source.emit('SIGUSR2', 'SIGUSR2');
  source.emit('SIGTERM', 'SIGTERM');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(boundary.counts().get('signal'), 2);
  t.same(done, ['roll', 'stop SIGTERM']);
});

t.test('messages of others are passed over', async (t) => {
  const { source, done } = setUp();
  source.emit('message', { type: 'axm:monitor' });
  t.same(done, []);
});

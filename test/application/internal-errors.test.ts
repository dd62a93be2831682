import t from 'tap';
import { InternalErrors } from '../../src/application/internal-errors.ts';
import { TURNS } from '../../src/application/ports/boundary.ts';
import { keepingLog } from '../fixtures/silent-log.ts';

function setUp() {
  const log = keepingLog();
  const clock = { at: 0, now: () => clock.at };
  return { log, clock, errors: new InternalErrors(log, clock) };
}

const fail = (message = 'broken') => {
  throw new Error(message);
};

t.test('what a turn throws is told with its stack, counted, and goes no further', (t) => {
  const { log, errors } = setUp();
  t.equal(
    errors.run('client', () => 7),
    7,
  );
  t.equal(
    errors.run('client', () => fail()),
    undefined,
  );
  t.match(log.said, [
    {
      level: 'error',
      message: 'internal error; everything else goes on',
      fields: { turn: 'client', reason: 'broken', stack: /internal-errors\.test/, untold: 0 },
    },
  ]);
  t.equal(errors.counts().get('client'), 1);
  t.equal(errors.counts().get('worker'), 0);
  t.same([...errors.counts().keys()], [...TURNS]);
  t.end();
});

t.test('a callback under guard gets its arguments, and neither throws nor rejects', async (t) => {
  const { log, errors } = setUp();
  const given: number[] = [];
  const callback = errors.guard('worker', (a: number, b: number) => {
    given.push(a, b);
    fail();
  });
  callback(1, 2);
  t.same(given, [1, 2]);
  errors.guard('signal', async () => fail('late'))();
  await new Promise((resolve) => setImmediate(resolve));
  t.match(log.said, [{ fields: { turn: 'worker' } }, { fields: { turn: 'signal', reason: 'late' } }]);
});

t.test('a defect that every client meets is counted each time and told a few times, each kind for itself', (t) => {
  const { log, clock, errors } = setUp();
  for (let i = 0; i < 1000; i++) errors.failed('client', new Error('again'));
  errors.failed('routing', 'no error object');
  t.equal(errors.counts().get('client'), 1000);
  t.equal(log.said.length, 11);
  t.match(log.said[10], { fields: { turn: 'routing', reason: 'no error object' } });
  clock.at = 10_000;
  errors.failed('client', new Error('again'));
  t.match(log.said[11], { fields: { turn: 'client', untold: 990 } }, 'and then says how often it was not told');
  clock.at = 20_000;
  errors.failed('client', new Error('again'));
  t.match(log.said[12], { fields: { untold: 0 } });
  t.end();
});

t.test('a log that throws is not a failure of its own', (t) => {
  const errors = new InternalErrors({ debug: fail, info: fail, warn: fail, error: () => fail() } as never, {
    now: () => 0,
  });
  errors.failed('admin', new Error('x'));
  t.equal(errors.counts().get('admin'), 1);
  t.end();
});

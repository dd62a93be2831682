import { mock } from 'node:test';
import t from 'tap';
import { type Life, Modules } from '../../src/application/modules.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { settled } from './stage.ts';

const DEADLINE_MS = 500;

/** Parts that write down what they are asked; `given` says what else one of them does. */
function setUp(given: Readonly<Record<string, Partial<Life>>> = {}, names = ['a', 'b', 'c']) {
  const said: string[] = [];
  const parts = names.map((name): Life => {
    const part = { start: () => {}, stop: () => {}, ...given[name] };
    const told = <Name extends Exclude<keyof Life, 'name' | 'reasons'>>(what: Name) => ({
      [what]: (deadlineMs: number) => {
        said.push(`${what} ${name}`);
        return (part[what] as ((deadlineMs: number) => Promise<unknown>) | undefined)?.(deadlineMs);
      },
    });
    const phases = [told('start'), told('stop'), told('lameDuck'), told('closePorts'), told('drain'), told('cut')];
    return Object.assign({ name }, part, ...phases) as Life;
  });
  const boundary = countingBoundary();
  return { modules: new Modules(parts, boundary), said, boundary };
}

const never = () => new Promise(() => {});

t.test('parts start in order, each when the one before serves, and stop in reverse', async (t) => {
  let serves = () => {};
  const a = new Promise<void>((resolve) => {
    serves = resolve;
  });
  const { modules, said } = setUp({ a: { start: () => a } });
  const started = modules.start(DEADLINE_MS);
  await settled();
  t.same(said, ['start a']);
  serves();
  t.ok(await started);
  t.same(said.splice(0), ['start a', 'start b', 'start c']);
  modules.lameDuck();
  modules.closePorts();
  t.ok(await modules.drain(DEADLINE_MS));
  t.ok(await modules.end(DEADLINE_MS));
  t.same(
    said,
    ['lameDuck', 'closePorts', 'drain', 'stop'].flatMap((phase) => ['c', 'b', 'a'].map((name) => `${phase} ${name}`)),
    'each phase is over before the next one begins',
  );
});

t.test('a start that fails stops what had started, in reverse, and refuses the start with its reason', async (t) => {
  for (const start of [
    () => Promise.reject(new Error('no such file')),
    () => {
      throw new Error('no such file');
    },
  ]) {
    const { modules, said, boundary } = setUp({
      c: { start },
      b: { stop: () => Promise.reject(new Error('a second failure')) },
    });
    await t.rejects(modules.start(DEADLINE_MS), { message: 'no such file' });
    t.same(said, ['start a', 'start b', 'start c', 'stop b', 'stop a']);
    t.equal(boundary.counts().get('signal'), 1, 'what fails besides is told');
  }
});

t.test('one that fails in a phase, or throws at once, keeps no other from theirs', async (t) => {
  const { modules, said, boundary } = setUp({
    c: {
      closePorts: () => {
        throw new Error('closed already');
      },
      drain: () => Promise.reject(new Error('a defect')),
    },
    b: {
      stop: () => {
        throw new Error('another one');
      },
    },
  });
  await modules.start(DEADLINE_MS);
  said.length = 0;
  modules.closePorts();
  t.notOk(await modules.drain(DEADLINE_MS));
  t.notOk(await modules.end(DEADLINE_MS));
  t.same(
    said,
    ['closePorts', 'drain', 'stop'].flatMap((phase) => ['c', 'b', 'a'].map((name) => `${phase} ${name}`)),
  );
  t.equal(boundary.counts().get('signal'), 3);
});

t.test('one that does not end is left at its deadline, and was told when that is', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const deadlines: number[] = [];
  const stop = (deadlineMs: number) => {
    deadlines.push(deadlineMs);
    return never();
  };
  const { modules, said } = setUp({ c: { stop }, b: { stop } });
  await modules.start(DEADLINE_MS);
  said.length = 0;
  const ended = modules.end(DEADLINE_MS);
  await settled();
  t.same(said, ['stop c']);
  mock.timers.tick(DEADLINE_MS);
  await settled();
  t.same(said, ['stop c', 'stop b'], 'the time of the next one is its own');
  mock.timers.tick(DEADLINE_MS);
  t.notOk(await ended);
  t.same(said, ['stop c', 'stop b', 'stop a']);
  t.same(deadlines, [DEADLINE_MS, DEADLINE_MS]);
});

t.test('a drain that does not hold to its deadline is left some time after', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { modules, said } = setUp({ c: { drain: never } });
  await modules.start(DEADLINE_MS);
  said.length = 0;
  const drained = modules.drain(30_000);
  await settled();
  mock.timers.tick(30_000);
  await settled();
  t.same(said, ['drain c'], 'it may be at its last act');
  mock.timers.tick(5000);
  t.notOk(await drained);
  t.same(said, ['drain c', 'drain b', 'drain a']);
});

t.test('a stop during the start stops the one that is starting too, and no further one starts', async (t) => {
  let fails: (error: Error) => void = () => {};
  const start = () =>
    new Promise<void>((_, reject) => {
      fails = reject;
    });
  const { modules, said } = setUp({ b: { start } });
  const started = modules.start(DEADLINE_MS);
  await settled();
  t.ok(await modules.end(DEADLINE_MS));
  t.same(said, ['start a', 'start b', 'stop b', 'stop a']);
  fails(new Error('stopped'));
  t.notOk(await started, 'what its start comes to is no news then');
  t.equal(said.length, 4);
});

t.test('the parts that began say what is missing; those that did not are missing', async (t) => {
  const part = (name: string) => ({ reasons: () => ({ missing: [`${name} lacks`], notes: [`${name} notes`] }) });
  let serves = () => {};
  const start = () =>
    new Promise<void>((resolve) => {
      serves = resolve;
    });
  const { modules } = setUp({ a: part('a'), b: { ...part('b'), start } });
  const started = modules.start(DEADLINE_MS);
  await settled();
  t.same(modules.reasons(), {
    missing: ['the proxy is starting', 'a lacks', 'b lacks'],
    notes: ['a notes', 'b notes'],
  });
  serves();
  await started;
  t.same(modules.reasons(), { missing: ['a lacks', 'b lacks'], notes: ['a notes', 'b notes'] });
});

import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { AcceptGate } from '../../../src/adapters/dataplane/stream/accept-gate.ts';

/** A gate and the engine behind it, whose timers run when the test lets time pass. */
function engine(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const told: string[] = [];
  const gate = new AcceptGate(
    () => told.push('close'),
    () => told.push('reopen'),
  );
  let size = 0;
  return {
    gate,
    told: () => told.splice(0).join(' '),
    setLimit: (limit: number) => gate.setLimit(limit, size),
    accept: (count = 1) => {
      for (let n = 0; n < count; n++) gate.accepted(++size);
    },
    leave: (count = 1) => {
      for (let n = 0; n < count; n++) gate.left(--size);
    },
  };
}

t.test('it closes with the connection that makes the limit, and opens when some have left', async (t) => {
  const { accept, leave, setLimit, told } = engine(t);
  setLimit(32);
  accept(31);
  t.equal(told(), '');
  accept();
  t.equal(told(), 'close');
  leave(2);
  t.equal(told(), '', 'not with the first one');
  leave();
  t.equal(told(), 'reopen');
});

t.test('it opens when more are allowed', async (t) => {
  const { accept, setLimit, told } = engine(t);
  setLimit(2);
  accept(2);
  setLimit(3);
  t.equal(told(), 'close reopen');
  accept();
  setLimit(0);
  t.equal(told(), 'close reopen');
  accept(100);
  t.equal(told(), '');
});

t.test('after 100 ms it takes 64, and closes again', async (t) => {
  const { accept, setLimit, told } = engine(t);
  setLimit(1);
  accept();
  mock.timers.tick(99);
  t.equal(told(), 'close');
  mock.timers.tick(1);
  t.equal(told(), 'reopen');
  accept(64);
  t.equal(told(), '');
  accept();
  t.equal(told(), 'close');
});

t.test('once stopped, nothing opens it', async (t) => {
  const { gate, accept, leave, setLimit, told } = engine(t);
  setLimit(1);
  accept();
  gate.stop();
  leave();
  setLimit(0);
  mock.timers.tick(1000);
  t.equal(told(), 'close');
});

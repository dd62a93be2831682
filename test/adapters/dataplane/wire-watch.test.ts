import t from 'tap';
import { lookPeriod, WireWatch } from '../../../src/adapters/dataplane/stream/wire-watch.ts';

const TIMEOUT = 1000;

/** A watch whose kernel says what the test lets it say. */
function watch() {
  const kernel = { acked: 0, silent: 0, settled: 0, unanswered: 1 };
  const subject = new WireWatch();
  let looks = 0;
  const look = (now: number) =>
    subject.look(
      now,
      3,
      (_fd, out) => {
        looks++;
        out.set([kernel.acked, kernel.silent, kernel.settled, kernel.unanswered]);
        return true;
      },
      TIMEOUT,
    );
  return { kernel, subject, look, looks: () => looks };
}

t.test('the kernel is asked only while something may be on its way', async (t) => {
  const { kernel, subject, look, looks } = watch();
  t.ok(look(1));
  t.equal(looks(), 0, 'nothing was sent');
  subject.sent();
  look(2);
  look(3);
  t.equal(looks(), 2);
  kernel.settled = 1;
  look(4);
  look(5);
  t.equal(looks(), 3, 'all was acknowledged');
});

t.test('bytes moved when the peer was last heard of', async (t) => {
  const { kernel, subject, look } = watch();
  subject.sent();
  Object.assign(kernel, { acked: 10, silent: 300 });
  look(5000);
  t.equal(subject.movedAt, 4700);
  kernel.silent = 0;
  look(6000);
  t.equal(subject.movedAt, 4700, 'a sign of life is no byte');
});

t.test('a peer is gone that owes an answer, and is silent, for the whole time', async (t) => {
  const { kernel, subject, look } = watch();
  subject.sent();
  kernel.silent = 60_000;
  t.ok(look(10_000), 'its silence is older than what it was sent');
  t.ok(look(10_999));
  t.notOk(look(11_000));
  kernel.silent = 999;
  t.ok(look(12_000), 'it said something meanwhile');
  kernel.silent = 5000;
  kernel.unanswered = 0;
  t.ok(look(20_000), 'its window is closed');
  kernel.unanswered = 1;
  t.ok(look(21_000), 'and its time starts again');
  t.notOk(look(22_000));
});

t.test('progress starts the time again', async (t) => {
  const { kernel, subject, look } = watch();
  subject.sent();
  kernel.silent = 60_000;
  t.ok(look(1000));
  kernel.acked = 1;
  t.ok(look(2000));
  t.ok(look(2500));
  t.ok(look(3499));
  t.notOk(look(3500));
});

t.test('looks come six times in the shortest timer, every second at most and every ten at least', async (t) => {
  t.equal(lookPeriod([]), 10);
  t.equal(lookPeriod([0, 0]), 10);
  t.equal(lookPeriod([3_600_000, 60_000, 30_000]), 5);
  t.equal(lookPeriod([100, 60_000]), 1);
});

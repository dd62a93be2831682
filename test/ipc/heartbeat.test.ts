import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { type Beat, Heartbeat } from '../../src/ipc/heartbeat.ts';

/** With a deadline of 100 ms, so that it beats every 25. */
function start(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  let now = 1000;
  const beats: Beat[] = [];
  const failures: unknown[] = [];
  const heartbeat: Heartbeat = new Heartbeat({
    timeoutMs: 100,
    onBeat: (beat) => {
      beats.push(beat);
      if (beats.length === 1) throw 'defect';
    },
    failed: (error) => failures.push(error),
    now: () => now,
  });
  t.teardown(() => heartbeat.stop());
  /** `late`: the loop was held up for so long beyond the time at which the beat was due. */
  const beat = (late = 0) => {
    now += 25 + late;
    mock.timers.tick(25);
    return beats.at(-1)!;
  };
  return { heartbeat, beats, failures, beat };
}

t.test('a peer that says nothing for the deadline is silent, until it is heard', async (t) => {
  const { heartbeat, beat } = start(t);
  for (let n = 1; n <= 4; n++) t.same(beat(), { isSilent: false, wasHeldUp: false }, `${n * 25} ms`);
  t.ok(beat().isSilent);
  heartbeat.heard();
  t.notOk(beat().isSilent);
});

t.test('its silence shows when it is later than usual', async (t) => {
  const { heartbeat, beat } = start(t);
  beat();
  beat();
  t.equal(heartbeat.silentMs, 0);
  beat();
  t.equal(heartbeat.silentMs, 75);
  heartbeat.heard();
  t.equal(heartbeat.silentMs, 0);
});

t.test('while we were held up ourselves, the peer is not silent: what it said is unread', async (t) => {
  const { heartbeat, beat } = start(t);
  t.same(beat(500), { isSilent: false, wasHeldUp: true });
  t.equal(heartbeat.silentMs, 0);
  for (let n = 0; n < 4; n++) t.same(beat(), { isSilent: false, wasHeldUp: false });
  t.ok(beat().isSilent, 'and then its deadline runs anew');
});

t.test('a beat that throws is told of, and the next one comes; a stop is the end', async (t) => {
  const { heartbeat, beats, failures, beat } = start(t);
  beat();
  beat();
  t.same(failures, ['defect']);
  t.equal(beats.length, 2);
  heartbeat.stop();
  beat();
  t.equal(beats.length, 2);
});

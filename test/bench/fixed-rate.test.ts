import t, { type Test } from 'tap';
import { FixedRate } from './fixed-rate.ts';

/** 1000 requests a second on two connections, from time 0 on: request k is due at k ms, on connection k modulo 2. */
function twoConnections(t: Test, requests: number) {
  const load = new FixedRate({ rate: 1000, requests, connections: 2, start: 0 });
  const sent: number[] = [];
  return {
    load,
    sent,
    advance: (now: number) => load.advance(now, (connection) => sent.push(connection)),
    latencies: (now: number, expected: readonly number[]) => t.same([...load.latencies(0, now)], expected),
  };
}

t.test('a request is sent once it is due, and not before', async (t) => {
  const { load, sent, advance, latencies } = twoConnections(t, 4);
  advance(0);
  t.same(sent, [0]);
  advance(0.9);
  t.same(sent, [0]);
  advance(1);
  t.same(sent, [0, 1]);
  t.notOk(load.answered(0, 1.5));
  t.notOk(load.answered(1, 1.5));
  advance(3.25);
  t.same(sent, [0, 1, 0, 1]);
  t.notOk(load.answered(0, 4));
  t.notOk(load.done);
  t.notOk(load.answered(1, 4));
  t.ok(load.done);
  latencies(4, [0.5, 1, 1.5, 2]);
  t.same([...load.delays(0)], [0, 0, 0.25, 1.25], 'a late look is the generator s own delay');
});

t.test('a stall is in the latency of every request that it held up', async (t) => {
  const { load, sent, advance, latencies } = twoConnections(t, 6);
  for (const now of [0, 1, 2, 3, 4, 5]) {
    advance(now);
    if (now % 2 === 1) load.answered(1, now + 0.5);
  }
  t.same(sent, [0, 1, 1, 1], 'connection 0 waits for its first answer');
  t.ok(load.answered(0, 10), 'what is overdue goes out with the answer before it');
  t.ok(load.answered(0, 11));
  t.notOk(load.answered(0, 12));
  t.ok(load.done);
  latencies(12, [0.5, 0.5, 0.5, 8, 9, 10]);
  t.same([...load.delays(0)], [0, 0, 0, 0], 'and is not the generator s own delay');
});

t.test('a request without an answer counts with the time that it has waited', async (t) => {
  const { load, advance, latencies } = twoConnections(t, 3);
  for (const now of [0, 1, 2]) advance(now);
  load.answered(1, 2);
  t.notOk(load.done);
  latencies(100, [1, 98, 100]);
  t.equal(load.end, 2);
});

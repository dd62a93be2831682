import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { EventBatch } from '../../../src/adapters/dataplane/stream/event-batch.ts';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';
import { parseAddress } from '../../../src/ip-address.ts';

const accepted: DataPlaneEvent = { type: 'accepted', conn: 1, listener: 1, address: parseAddress('127.0.0.1')! };
const connected: DataPlaneEvent = { type: 'connected', conn: 2, rttMs: 1 };
const failed: DataPlaneEvent = { type: 'connectFailed', conn: 3, code: 'ECONNREFUSED', here: false };

/** A batch whose time the test tells. */
function timed(t: Test) {
  const time = { now: performance.now() };
  const batches: (readonly DataPlaneEvent[])[] = [];
  t.intercept(performance, 'now', { value: () => time.now });
  return { batches, time, batch: new EventBatch((events) => batches.push(events)) };
}

t.test('what a client waits for comes at the end of its turn, and brings along what waited', async (t) => {
  const batches: (readonly DataPlaneEvent[])[] = [];
  const batch = new EventBatch((events) => batches.push(events));
  batch.push(connected);
  batch.push(failed);
  t.same(batches, [], 'not from within');
  await nextTurn();
  t.same(batches, [[connected, failed]]);
});

t.test('clients that come in turn after turn make one batch, until a turn brings none', async (t) => {
  const { batch, batches, time } = timed(t);
  for (let turn = 0; turn < 5; turn++) {
    batch.push(accepted);
    await nextTurn();
  }
  t.same(batches, []);
  await nextTurn();
  t.same(batches, [Array(5).fill(accepted)]);

  batch.push(accepted);
  await nextTurn();
  batch.push(accepted);
  time.now += 1;
  await nextTurn();
  t.same(batches[1], [accepted, accepted], 'nor do they wait for more than a millisecond');

  batch.push(accepted);
  batch.push(failed);
  await nextTurn();
  t.same(batches[2], [accepted, failed], 'nor with anything else that a client waits for');
});

t.test('what waited its time makes one batch with what its turn brings', async (t) => {
  // Guards: a turn begins with its timers, so what they deliver is followed by a second batch in the same turn.
  const batches: (readonly DataPlaneEvent[])[] = [];
  const batch = new EventBatch((events) => batches.push(events));
  await new Promise<void>((resolve) => {
    batch.push(connected);
    // As long as the batch waits, and begun after it: Node calls the two one after the other.
    setTimeout(() => {
      batch.push(failed);
      resolve();
    }, 5);
  });
  await nextTurn();
  t.same(batches, [[connected, failed]]);
});

t.test('thousands of events take turns, in order, each followed by what is to be done after it', async (t) => {
  const log: (number | string)[] = [];
  const batch = new EventBatch((events) => {
    log.push(...events.map((event) => (event.type === 'connected' ? event.conn : 0)), 'told');
  });
  const numbers = Array.from({ length: 600 }, (_, i) => i + 1);
  for (const conn of numbers) {
    if (conn === 300) batch.pushFirst({ ...connected, conn }, () => log.push('then'));
    else batch.push({ ...connected, conn });
  }
  await nextTurn();
  t.same(log, [...numbers.slice(0, 256), 'told']);
  await nextTurn();
  t.same(log.slice(257), [...numbers.slice(256, 512), 'told', 'then']);
  t.equal(batch.afterwards, 0);
  await nextTurn();
  t.same(log.slice(515), [...numbers.slice(512), 'told']);
});

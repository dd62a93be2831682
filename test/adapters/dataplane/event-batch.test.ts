import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { EventBatch } from '../../../src/adapters/dataplane/stream/event-batch.ts';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';

const accepted: DataPlaneEvent = { type: 'accepted', conn: 1, listener: 1, address: '127.0.0.1' };
const connected: DataPlaneEvent = { type: 'connected', conn: 2, rttMs: 1 };

t.test('what a client waits for comes at the end of its turn, and brings along what waited', async (t) => {
  const batches: (readonly DataPlaneEvent[])[] = [];
  const batch = new EventBatch((events) => batches.push(events));
  batch.push(connected);
  batch.push(accepted);
  t.same(batches, [], 'not from within');
  await nextTurn();
  t.same(batches, [[connected, accepted]]);
});

t.test('what waited its time makes one batch with what its turn brings', async (t) => {
  // Guards: a turn begins with its timers, so what they deliver is followed by a second batch in the same turn.
  const batches: (readonly DataPlaneEvent[])[] = [];
  const batch = new EventBatch((events) => batches.push(events));
  await new Promise<void>((resolve) => {
    batch.push(connected);
    // As long as the batch waits, and begun after it: Node calls the two one after the other.
    setTimeout(() => {
      batch.push(accepted);
      resolve();
    }, 5);
  });
  await nextTurn();
  t.same(batches, [[connected, accepted]]);
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

import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { ClientPreread } from '../../../src/adapters/dataplane/stream/client-preread.ts';
import { EventBatch } from '../../../src/adapters/dataplane/stream/event-batch.ts';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';
import { parseAddress } from '../../../src/ip-address.ts';

// What reads the client is a stand-in, so that bytes come when no kernel would bring them.

class Client {
  ended = false;
  reading = false;
  prereadMore(): void {
    this.reading = true;
  }
  stopPreread(): void {
    this.reading = false;
  }
}

function subject(t: Test, maxBytes = 4) {
  const batches: (readonly DataPlaneEvent[])[] = [];
  const events = new EventBatch((batch) => void batches.push(batch));
  const client = new Client();
  const options = { maxBytes, timeoutMs: 3_600_000 };
  const preread = new ClientPreread(
    { conn: 1, listener: 2, told: () => {}, address: parseAddress('10.0.0.1')!, options },
    events,
    client,
  );
  t.teardown(() => preread.stop());
  const told = async () => {
    await nextTurn();
    // One that brings no client: `accepted` waits for it.
    await nextTurn();
    return batches.splice(0).flat();
  };
  return { preread, client, told };
}

const bytes = (text: string) => Buffer.from(text);

t.test('it says how many bytes may come next, and is not read while nobody waits', async (t) => {
  const { preread, client, told } = subject(t);
  t.ok(client.reading);
  t.equal(preread.add(bytes('ab')), 2);
  t.notOk(client.reading);
  t.match(await told(), [{ type: 'accepted', preread: bytes('ab') }]);
  preread.ask();
  t.ok(client.reading);
  t.equal(preread.add(bytes('cd')), 0);
  t.match(await told(), [{ type: 'preread', preread: bytes('abcd'), complete: true }]);
});

t.test('bytes that came beyond maxBytes are not told, and go to the backend', async (t) => {
  // Guards: a Node.js that gives no handles away reads as many as it likes.
  const { preread, told } = subject(t);
  t.equal(preread.add(bytes('abcdef')), 0);
  t.match(await told(), [{ preread: { length: 4 } }]);
  t.notOk(preread.canSkip(5));
  t.ok(preread.canSkip(4));
  t.equal(preread.rest(4).toString(), 'ef');
});

t.test('bytes that came when nobody waited are told at the next question, and not skipped before', async (t) => {
  // Guards: a stream that is resumed and paused in one turn still starts one read.
  const { preread, client, told } = subject(t);
  preread.announce();
  preread.add(bytes('ab'));
  t.match(await told(), [{ type: 'accepted', preread: { length: 0 } }]);
  t.notOk(preread.canSkip(1));
  preread.ask();
  t.notOk(client.reading);
  t.match(await told(), [{ type: 'preread', preread: bytes('ab'), complete: false }]);
});

t.test('a question is answered once, and an answer that was taken back is not delivered', async (t) => {
  const { preread, client, told } = subject(t);
  preread.add(bytes('a'));
  await told();
  preread.ask();
  preread.ask();
  preread.add(bytes('b'));
  preread.ask();
  t.equal((await told()).length, 1);
  preread.ask();
  preread.add(bytes('c'));
  preread.takeBack();
  t.same(await told(), [], 'not even an empty batch');
  preread.ask();
  preread.takeBack();
  t.notOk(client.reading);
});

t.test('what comes when it is stopped is not told', async (t) => {
  const { preread, told } = subject(t);
  preread.stop();
  preread.add(bytes('a'));
  preread.end();
  t.same(await told(), []);
  t.notOk(preread.announced);
});

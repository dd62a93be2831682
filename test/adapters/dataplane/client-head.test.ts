import t, { type Test } from 'tap';
import { ClientHead } from '../../../src/adapters/dataplane/stream/client-head.ts';
import { EventBatch } from '../../../src/adapters/dataplane/stream/event-batch.ts';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';

// What reads the client is a stand-in, so that bytes come when no kernel would bring them.

class Client {
  ended = false;
  reading = false;
  readHead(): void {
    this.reading = true;
  }
  stopHead(): void {
    this.reading = false;
  }
}

function subject(t: Test, maxBytes = 4) {
  const batches: (readonly DataPlaneEvent[])[] = [];
  const events = new EventBatch((batch) => void batches.push(batch));
  const client = new Client();
  const options = { maxBytes, timeoutMs: 3_600_000 };
  const head = new ClientHead({ conn: 1, listener: 2, told: () => {}, address: '10.0.0.1', options }, events, client);
  t.teardown(() => head.stop());
  const told = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return batches.splice(0).flat();
  };
  return { head, client, told };
}

const bytes = (text: string) => Buffer.from(text);

t.test('it says how many bytes may come next, and is not read while nobody waits', async (t) => {
  const { head, client, told } = subject(t);
  t.ok(client.reading);
  t.equal(head.add(bytes('ab')), 2);
  t.notOk(client.reading);
  t.match(await told(), [{ type: 'accepted', head: bytes('ab') }]);
  head.ask();
  t.ok(client.reading);
  t.equal(head.add(bytes('cd')), 0);
  t.match(await told(), [{ type: 'head', head: bytes('abcd'), complete: true }]);
});

t.test('bytes that came beyond maxBytes are not told, and go to the backend', async (t) => {
  // Guards: a Node.js that gives no handles away reads as many as it likes.
  const { head, told } = subject(t);
  t.equal(head.add(bytes('abcdef')), 0);
  t.match(await told(), [{ head: { length: 4 } }]);
  t.notOk(head.canSkip(5));
  t.ok(head.canSkip(4));
  t.equal(head.rest(4).toString(), 'ef');
});

t.test('bytes that came when nobody waited are told at the next question, and not skipped before', async (t) => {
  // Guards: a stream that is resumed and paused in one turn still starts one read.
  const { head, client, told } = subject(t);
  head.announce();
  head.add(bytes('ab'));
  t.match(await told(), [{ type: 'accepted', head: { length: 0 } }]);
  t.notOk(head.canSkip(1));
  head.ask();
  t.notOk(client.reading);
  t.match(await told(), [{ type: 'head', head: bytes('ab'), complete: false }]);
});

t.test('a question is answered once, and an answer that was taken back is not delivered', async (t) => {
  const { head, client, told } = subject(t);
  head.add(bytes('a'));
  await told();
  head.ask();
  head.ask();
  head.add(bytes('b'));
  head.ask();
  t.equal((await told()).length, 1);
  head.ask();
  head.add(bytes('c'));
  head.takeBack();
  t.same(await told(), [], 'not even an empty batch');
  head.ask();
  head.takeBack();
  t.notOk(client.reading);
});

t.test('what comes when it is stopped is not told', async (t) => {
  const { head, told } = subject(t);
  head.stop();
  head.add(bytes('a'));
  head.end();
  t.same(await told(), []);
  t.notOk(head.announced);
});

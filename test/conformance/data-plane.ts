import type { Test } from 'tap';
import { address as addressOf } from '../application/rig.ts';
import { bytesSuite } from './data-plane-bytes.ts';
import { capSuite } from './data-plane-cap.ts';
import { checksSuite } from './data-plane-checks.ts';
import { contendedSuite } from './data-plane-contended.ts';
import { crowdSuite } from './data-plane-crowd.ts';
import { descriptorsSuite } from './data-plane-descriptors.ts';
import { dialSuite } from './data-plane-dial.ts';
import { duplicate } from './data-plane-duplicate.ts';
import { endsSuite } from './data-plane-ends.ts';
import { goneClientsSuite } from './data-plane-gone-clients.ts';
import { handedOverSuite } from './data-plane-handed-over.ts';
import { heldUpSuite } from './data-plane-held-up.ts';
import { lateResetsSuite } from './data-plane-late-resets.ts';
import { prefixSuite } from './data-plane-prefix.ts';
import { prereadSuite } from './data-plane-preread.ts';
import { prereadBytesSuite } from './data-plane-preread-bytes.ts';
import { prereadEndsSuite } from './data-plane-preread-ends.ts';
import { backend, bind, client, LISTENER, type MakeEngine, pair, Rig } from './data-plane-rig.ts';
import { slowReadersSuite } from './data-plane-slow-readers.ts';
import { vanishSuite } from './data-plane-vanish.ts';

/**
 * What DataPlane promises, for any engine. It speaks to the engine only through the port; every rig also holds the order
 * of all events against the port's words (see `Rig`). `blind`: why it cannot ask the kernel what peers acknowledge.
 */
export function dataPlaneConformance(t: Test, make: MakeEngine, blind: string | false = false): void {
  t.test('accepting', async (t) => acceptingSuite(t, make));
  t.test('its connection cap', async (t) => capSuite(t, make));
  t.test('dialling', async (t) => dialSuite(t, make));
  t.test('a client that is gone before it is connected', async (t) => goneClientsSuite(t, make));
  t.test('backends that are connected already', async (t) => handedOverSuite(t, make));
  t.test('bytes of ours that come first', async (t) => prefixSuite(t, make));
  t.test('bytes', async (t) => bytesSuite(t, make));
  t.test('prereads', async (t) => prereadSuite(t, make));
  t.test('prereads: ends', async (t) => prereadEndsSuite(t, make));
  t.test('prereads: bytes', async (t) => prereadBytesSuite(t, make));
  t.test('ends and resets', async (t) => endsSuite(t, make));
  t.test('a contended backend', async (t) => contendedSuite(t, make));
  t.test('late resets', async (t) => lateResetsSuite(t, make));
  t.test('held up', async (t) => heldUpSuite(t, make));
  t.test('what is checked once a second', async (t) => checksSuite(t, make, blind));
  t.test('slow readers', async (t) => slowReadersSuite(t, make, blind));
  t.test('peers that vanish', async (t) => vanishSuite(t, make, blind));
  t.test('many at once', async (t) => crowdSuite(t, make));
  t.test('descriptors', async (t) => descriptorsSuite(t, make));
}

function acceptingSuite(t: Test, make: MakeEngine): void {
  t.test('a client is told with its listener and its address', async (t) => {
    const rig = await Rig.start(t, make);
    const first = await rig.listen('127.0.0.1', 1);
    const second = await rig.listen('127.0.0.1', 2);
    t.equal(rig.engine.size, 0);
    await client(t, second);
    t.match(await rig.next('accepted'), { listener: 2, address: addressOf('127.0.0.1') });
    await client(t, first);
    t.match(await rig.next('accepted'), { listener: 1, address: addressOf('127.0.0.1') });
    t.equal(rig.engine.size, 2);
  });

  t.test('IPv6: client and backend', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen('::1');
    const to = await backend(t, '::1');
    const near = await client(t, port, '::1');
    const { conn, address } = await rig.next('accepted');
    t.same(address, addressOf('::1'));
    rig.connect(conn, to.port, '::1');
    await rig.next('connected');
    const far = await to.accept();
    near.socket.end('over IPv6');
    t.equal((await far.read().all()).toString(), 'over IPv6');
  });

  t.test('an IPv4 client of an IPv6 socket', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen('::ffff:127.0.0.1');
    await client(t, port);
    const { address } = await rig.next('accepted');
    t.same(address, addressOf('127.0.0.1'));
  });

  t.test('beyond maxConnections clients are refused, until one leaves', async (t) => {
    const rig = await Rig.start(t, make, { maxConnections: 2 });
    const port = await rig.listen();
    await client(t, port);
    await client(t, port);
    const held = await rig.next('accepted');
    await rig.next('accepted');

    const third = await client(t, port);
    t.same(await rig.next('refused'), { type: 'refused', listener: LISTENER, address: addressOf('127.0.0.1') });
    third.read();
    await third.ended.then(() => third.socket.end());
    t.equal(await third.closed, '', 'the client saw an orderly end');
    t.equal(rig.engine.size, 2);

    rig.close(held.conn);
    await rig.closed(held.conn);
    await client(t, port);
    await rig.next('accepted');
    t.same(
      rig.events.map((event) => event.type),
      [],
      'and nothing else happened',
    );
  });

  t.test('stopAccepting: open connections go on, and the socket serves on elsewhere', async (t) => {
    const { handle, port } = bind();
    const copy = await duplicate(t, handle);
    const old = await Rig.start(t, make);
    await old.engine.listen(handle, LISTENER);
    const to = await backend(t);
    const open = await pair(t, old, port, to);
    old.engine.stopAccepting();

    const waiting = await client(t, port);
    const successor = await Rig.start(t, make);
    await successor.engine.listen(copy, 3);
    const { conn, listener } = await successor.next('accepted');
    t.equal(listener, 3);
    successor.connect(conn, to.port);
    await successor.next('connected');
    const far = await to.accept();
    waiting.socket.end('to the successor');
    t.equal((await far.read().all()).toString(), 'to the successor');

    open.client.socket.end('to the predecessor');
    t.equal((await open.backend.read().all()).toString(), 'to the predecessor');
    open.backend.socket.end();
    t.equal((await old.closed(open.conn)).reason, 'finished');
    old.engine.stopAccepting();
  });

  t.test('a client that is not connected is not read', async (t) => {
    const rig = await Rig.start(t, make);
    const near = await client(t, await rig.listen());
    const { conn } = await rig.next('accepted');
    const to = await backend(t);
    // More than one read could take, so that what was read too early would be missing or out of order.
    const bytes = Buffer.alloc(300_000, 'before the dial, ');
    near.socket.end(bytes);
    rig.connect(conn, to.port);
    const far = await to.accept();
    t.ok((await far.read().all()).equals(bytes));
  });
}

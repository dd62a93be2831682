import type { Test } from 'tap';
import type { PrereadOptions } from '../../src/application/ports/data-plane.ts';
import { until } from '../fixtures/until.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { backend, bind, client, LISTENER, type MakeEngine, type Peer, Rig, refusingPort } from './data-plane-rig.ts';

const HEAD: PrereadOptions = { maxBytes: 1000, timeoutMs: 3_600_000 };

const text = (preread: Uint8Array | undefined) => preread && Buffer.from(preread).toString();

/** Listeners that look at a client's first bytes before they pick. */
export function prereadSuite(t: Test, make: MakeEngine): void {
  const listening = async (
    t: Test,
    preread: Partial<PrereadOptions> = {},
    options: Parameters<typeof Rig.start>[2] = {},
  ) => {
    const rig = await Rig.start(t, make, options);
    return { rig, port: await rig.listen('127.0.0.1', LISTENER, { ...HEAD, ...preread }) };
  };

  /** A client that has spoken and was told of. */
  const spoken = async (t: Test, rig: Rig, port: number, bytes: string) => {
    const near = await client(t, port);
    near.socket.write(bytes);
    const { conn, preread } = await rig.next('accepted');
    t.equal(text(preread), bytes);
    return { near, conn };
  };

  /** Connects, and holds what the backend gets in all against `expected`. */
  const served = async (t: Test, rig: Rig, conn: number, near: Peer, skip: number | undefined, expected: string) => {
    let to = await backend(t);
    rig.connect(conn, to.port, '127.0.0.1', { skip });
    for (;;) {
      const end = await rig.until((event) => event.type === 'connected' || event.type === 'connectFailed');
      if (end.type === 'connected') break;
      // A short connect timer may be over on a machine with other work.
      t.match(end, { code: 'ETIMEDOUT' });
      to = await backend(t);
      rig.connect(conn, to.port, '127.0.0.1', { skip });
    }
    const far = await to.accept();
    near.socket.end();
    t.equal((await far.read().all()).toString(), expected);
    far.socket.end('answer');
    t.equal((await near.read().all()).toString(), 'answer');
    t.match(await rig.closed(conn), { reason: 'finished', bytesToBackend: expected.length, bytesToClient: 6 });
  };

  t.test('a client is told with its first bytes, when they are there', async (t) => {
    const { rig, port } = await listening(t);
    const plain = await rig.listen('127.0.0.1', 1);
    await client(t, port);
    await until('the silent client is held', () => rig.engine.size === 1);
    const near = await client(t, port);
    near.socket.write('first bytes');
    const { conn, listener, address, preread } = await rig.next('accepted');
    t.same([listener, address.text, text(preread)], [LISTENER, '127.0.0.1', 'first bytes']);
    await client(t, plain);
    t.notOk('preread' in (await rig.next('accepted')), 'only of listeners that want it');
    t.same(rig.events, [], 'the silent client was not told of');
    t.equal(rig.engine.size, 3);
    await served(t, rig, conn, near, undefined, 'first bytes');
  });

  t.test('a client that ends before any byte', async (t) => {
    const { rig, port } = await listening(t);
    const near = await client(t, port);
    near.socket.end();
    const { conn, preread } = await rig.next('accepted');
    t.equal(text(preread), '');
    rig.prereadMore(conn);
    t.match(await rig.next('preread'), { conn, preread: { length: 0 }, complete: true });
    await served(t, rig, conn, near, 0, '');
  });

  t.test('a client that stays silent until its time is over', async (t) => {
    const { rig, port } = await listening(t, { timeoutMs: 20 });
    const near = await client(t, port);
    const { conn, preread } = await rig.next('accepted');
    t.equal(text(preread), '');
    rig.prereadMore(conn);
    t.match(await rig.next('preread'), { conn, preread: { length: 0 }, complete: true });
    near.socket.write('late');
    await served(t, rig, conn, near, 0, 'late');
  });

  t.test('each listener has its own time', async (t) => {
    const { rig, port } = await listening(t);
    const quick = await rig.listen('127.0.0.1', 1, { ...HEAD, timeoutMs: 20 });
    await client(t, port);
    await until('the patient listener holds its client', () => rig.engine.size === 1);
    await client(t, quick);
    t.match(await rig.next('accepted'), { listener: 1, preread: { length: 0 } });
    t.same(rig.events, []);
  });

  t.test('prereadMore: all bytes so far, when there is one more', async (t) => {
    const { rig, port } = await listening(t);
    const { near, conn } = await spoken(t, rig, port, 'one');
    rig.prereadMore(conn);
    rig.prereadMore(conn);
    near.socket.write(' two');
    const second = await rig.next('preread');
    t.same([second.conn, text(second.preread), second.complete], [conn, 'one two', false]);
    near.socket.write(' three');
    rig.prereadMore(conn);
    t.equal(text((await rig.next('preread')).preread), 'one two three');
    await served(t, rig, conn, near, 4, 'two three');
    t.same(rig.events, [], 'two calls before an answer are one');
  });

  t.test('prereadMore is complete with maxBytes, and what is beyond them is kept for the backend', async (t) => {
    const { rig, port } = await listening(t, { maxBytes: 5 });
    const near = await client(t, port);
    near.socket.write('12');
    const { conn } = await rig.next('accepted');
    near.socket.write('3456789');
    rig.prereadMore(conn);
    const full = await rig.next('preread');
    t.same([text(full.preread), full.complete], ['12345', true]);
    rig.prereadMore(conn);
    const again = await rig.next('preread');
    t.same([text(again.preread), again.complete], ['12345', true], 'at once, as there will be no more');
    await served(t, rig, conn, near, 5, '6789');
  });

  t.test(`prereadMore is complete with the client's end`, async (t) => {
    const { rig, port } = await listening(t);
    const { near, conn } = await spoken(t, rig, port, 'all there is');
    rig.prereadMore(conn);
    near.socket.end();
    const { preread, complete } = await rig.next('preread');
    t.same([text(preread), complete], ['all there is', true]);
    await served(t, rig, conn, near, 4, 'there is');
  });

  t.test('prereadMore is complete when the time is over', async (t) => {
    const { rig, port } = await listening(t, { timeoutMs: 50 });
    const near = await client(t, port);
    near.socket.write('some');
    const { conn, preread } = await rig.next('accepted');
    // Nothing may have come by then on a machine with other work.
    if (preread?.length !== 0) t.equal(text(preread), 'some');
    rig.prereadMore(conn);
    t.match(await rig.next('preread'), { complete: true });
    near.socket.write(' more');
    await served(t, rig, conn, near, 0, 'some more');
  });

  t.test('a skip that is none fails like a dial', async (t) => {
    const { rig, port } = await listening(t);
    const { near, conn } = await spoken(t, rig, port, 'head');
    const to = await backend(t);
    for (const skip of [-1, 5, 0.5, Number.NaN]) {
      rig.connect(conn, to.port, '127.0.0.1', { skip });
      t.same(
        await rig.next('connectFailed'),
        { type: 'connectFailed', conn, code: 'EINVAL', here: true },
        `skip ${skip}`,
      );
    }
    await served(t, rig, conn, near, 4, '');
    await client(t, await rig.listen('127.0.0.1', 1));
    const plain = await rig.next('accepted');
    rig.connect(plain.conn, to.port, '127.0.0.1', { skip: 1 });
    t.match(await rig.next('connectFailed'), { conn: plain.conn, code: 'EINVAL' }, 'without a preread');
  });

  t.test('a preread outlives failed dials, and each dial skips what it says', async (t) => {
    const { rig, port } = await listening(t, {}, { connectTimeoutMs: 50 });
    const { near, conn } = await spoken(t, rig, port, 'PROXY hello');
    rig.connect(conn, refusingPort(t), '127.0.0.1', { skip: 11 });
    await rig.next('connectFailed');
    rig.prereadMore(conn);
    near.socket.write(' and');
    t.equal(text((await rig.next('preread')).preread), 'PROXY hello and');
    rig.connect(conn, await blackhole(t), '127.0.0.1', { skip: 0 });
    near.socket.write(' more');
    t.match(await rig.next('connectFailed'), { code: 'ETIMEDOUT' });
    await served(t, rig, conn, near, 6, 'hello and more');
  });

  t.test('prereadMore is ignored where there is nothing to decide', async (t) => {
    const { rig, port } = await listening(t);
    const hole = await blackhole(t);
    const { near, conn } = await spoken(t, rig, port, 'dialling');
    rig.connect(conn, hole);
    rig.prereadMore(conn);
    near.socket.write('more');
    rig.close(conn);
    await rig.closed(conn);
    rig.prereadMore(conn);
    const next = await spoken(t, rig, port, 'connected');
    rig.connect(next.conn, (await backend(t)).port);
    await rig.next('connected');
    rig.prereadMore(next.conn);
    await client(t, await rig.listen('127.0.0.1', 1));
    const plain = await rig.next('accepted');
    rig.prereadMore(plain.conn);
    rig.reject(plain.conn, 'close');
    rig.prereadMore(plain.conn);
    await rig.closed(plain.conn);
    t.same(rig.events, []);
  });

  t.test('connect, reject and close take prereadMore back', async (t) => {
    const { rig, port } = await listening(t);
    const to = await backend(t);
    // With and without an answer that is on its way already.
    for (const bytes of ['', 'x'.repeat(HEAD.maxBytes)]) {
      const dialled = await spoken(t, rig, port, `d${bytes}`.slice(0, HEAD.maxBytes));
      rig.prereadMore(dialled.conn);
      rig.connect(dialled.conn, to.port);
      await rig.next('connected');
      for (const [end, reason] of [
        ['reject', 'rejected'],
        ['close', 'drained'],
      ] as const) {
        const { conn } = await spoken(t, rig, port, `e${bytes}`.slice(0, HEAD.maxBytes));
        rig.prereadMore(conn);
        rig[end](conn, 'close');
        t.equal((await rig.closed(conn)).reason, reason);
      }
      await relaysBothWays(t, dialled.near, await to.accept());
    }
    t.same(
      rig.events.filter(({ type }) => type === 'preread'),
      [],
    );
  });

  t.test('listen refuses numbers that are out of range', async (t) => {
    const rig = await Rig.start(t, make);
    for (const preread of [
      { ...HEAD, maxBytes: 0 },
      { ...HEAD, maxBytes: 65_537 },
      { ...HEAD, maxBytes: 1.5 },
      { ...HEAD, timeoutMs: 0 },
      { ...HEAD, timeoutMs: 2 ** 31 },
      { ...HEAD, timeoutMs: Number.NaN },
    ])
      await t.rejects(rig.engine.listen(bind().handle, LISTENER, preread), { code: 'EDGE_ERR_INTERNAL' });
  });
}

/** The connection relays both ways. */
async function relaysBothWays(t: Test, near: Peer, far: Peer): Promise<void> {
  near.socket.end('!');
  t.match((await far.read().all()).toString(), /^dx*!$/);
  far.socket.end('?');
  t.equal((await near.read().all()).toString(), '?');
}

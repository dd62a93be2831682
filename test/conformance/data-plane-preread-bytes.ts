import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { Test } from 'tap';
import { bytesOf, send, sendUntilStalled, stalled } from './data-plane-bytes.ts';
import { backend, client, LISTENER, type MakeEngine, Rig, refusingPort } from './data-plane-rig.ts';

/** What is relayed after a preread was told, byte for byte, and what is not taken before. */
export function prereadBytesSuite(t: Test, make: MakeEngine): void {
  const size = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 70_000 }));

  const life = fc.record({
    pieces: fc.array(size, { maxLength: 6 }),
    down: fc.array(size, { maxLength: 3 }),
    maxBytes: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 65_536 }), fc.constant(65_536)),
    /** Answers that are asked for, before the dial and after a failed one. */
    asks: fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 2 })),
    /** Of the preread that was told, what is skipped: from none to all of it. */
    skip: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    failsFirst: fc.boolean(),
    /** The client ends only when it has the backend's end. */
    endsLate: fc.boolean(),
    /** Turns of the loop before the dial, in which the client goes on. */
    turns: fc.nat({ max: 3 }),
    seed: fc.nat({ max: 250 }),
  });

  t.test('any pieces, any preread, any skip: nothing is lost, doubled or moved', async (t) => {
    const refusing = refusingPort(t);
    const to = await backend(t);
    await fc.assert(
      fc.asyncProperty(life, async ({ pieces, down, maxBytes, asks, skip, failsFirst, endsLate, turns, seed }) => {
        const rig = await Rig.start(t, make);
        const port = await rig.listen('127.0.0.1', LISTENER, { maxBytes, timeoutMs: 3_600_000 });
        const near = await client(t, port);
        const total = pieces.reduce((sum, piece) => sum + piece, 0);
        // A client that waits for its backend must not be waited for.
        const waits = endsLate && total > 0;
        const sent = send(near, pieces, seed, !waits);
        const { conn, preread: first = new Uint8Array(0) } = await rig.next('accepted');
        let preread = Buffer.from(first);
        const ask = async (times: number) => {
          for (let i = 0; i < times && !(waits && preread.length === Math.min(total, maxBytes)); i++) {
            rig.prereadMore(conn);
            preread = Buffer.from((await rig.next('preread')).preread);
          }
        };
        await ask(asks[0]);
        for (let i = 0; i < turns; i++) await nextTurn();
        if (failsFirst) {
          rig.connect(conn, refusing, '127.0.0.1', { skip: preread.length });
          await rig.next('connectFailed');
          await ask(asks[1]);
        }
        const skipped = Math.round(skip * preread.length);
        rig.connect(conn, to.port, '127.0.0.1', { skip: skipped });
        await rig.next('connected');
        const far = await to.accept();
        const sentDown = send(far, down, seed + 1);
        const gotDown = near.read().all();
        if (waits) void gotDown.then(() => near.socket.end());
        const gotUp = await far.read().all();
        const up = await sent;
        const closed = await rig.closed(conn);
        rig.engine.stopAccepting();
        return (
          preread.equals(up.subarray(0, preread.length)) &&
          gotUp.equals(up.subarray(skipped)) &&
          (await gotDown).equals(await sentDown) &&
          closed.reason === 'finished' &&
          closed.bytesToBackend === up.length - skipped
        );
      }),
      { numRuns: 60 },
    );
  });

  t.test('of a client that is held no more is taken than its preread', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen('127.0.0.1', LISTENER, { maxBytes: 65_536, timeoutMs: 3_600_000 });
    const near = await client(t, port);
    const sent = sendUntilStalled(near, 100_000, 3);
    const { conn } = await rig.next('accepted');
    const bytes = await sent;
    const to = await backend(t);
    rig.connect(conn, to.port, '127.0.0.1', { skip: 1 });
    const far = await to.accept();
    t.ok((await far.read().all()).equals(bytes.subarray(1)));
  });

  t.test('a preread waits for a backend that does not read, and what came behind it too', async (t) => {
    const rig = await Rig.start(t, make);
    const port = await rig.listen('127.0.0.1', LISTENER, { maxBytes: 65_536, timeoutMs: 3_600_000 });
    const near = await client(t, port);
    const preread = bytesOf(65_536, 1);
    near.socket.write(preread);
    const { conn } = await rig.next('accepted');
    const to = await backend(t);
    rig.connect(conn, to.port);
    const far = await to.accept();
    const rest = bytesOf(64 * 1024 * 1024, 2);
    near.socket.end(rest);
    await stalled(near);
    far.socket.write('meanwhile');
    t.equal((await near.read().received(9)).toString(), 'meanwhile');
    t.ok((await far.read().all()).equals(Buffer.concat([preread, rest])));
  });
}

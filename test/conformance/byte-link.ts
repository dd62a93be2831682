import { once } from 'node:events';
import type net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import type { ByteLink } from '../../src/ipc/byte-link.ts';
import { socketPair } from '../fixtures/socket-pair.ts';
import { until } from '../fixtures/until.ts';

/** A link that takes `socket` over. */
export type MakeLink = (socket: net.Socket) => ByteLink;

/** More than the kernel keeps for a reader that does not read. */
const MUCH = 8 << 20;

/** What ByteLink promises, for any implementation of it. */
export function byteLinkSuite(t: Test, make: MakeLink): void {
  /** A link, and the bare socket at its other end. */
  const setUp = async (t: Test) => {
    const [mine, theirs] = await socketPair(t);
    if (mine.connecting) await once(mine, 'connect');
    const link = make(mine);
    t.teardown(() => link.destroy());
    let text = '';
    let closes = 0;
    const over = new Promise<void>((resolve) => {
      link.open({
        onBytes: (bytes) => {
          text += bytes.toString('latin1');
          // They are the link's again: whoever keeps them would keep these.
          bytes.fill(0);
        },
        onClose: () => {
          closes++;
          resolve();
        },
      });
    });
    theirs.on('error', () => {});
    return { link, theirs, over, text: () => text, closes: () => closes };
  };

  t.test('bytes come and go, in order', async (t) => {
    const { link, theirs, text } = await setUp(t);
    let came = '';
    theirs.setEncoding('latin1').on('data', (chunk: string) => {
      came += chunk;
    });
    for (let n = 0; n < 100; n++) {
      const bytes = Buffer.from(`${n} `);
      link.write(bytes);
      bytes.fill('x');
      theirs.write(`${n} `);
    }
    const all = Array.from({ length: 100 }, (_, n) => `${n} `).join('');
    await until('all of them', () => came.length === all.length && text().length === all.length);
    t.equal(came, all);
    t.equal(text(), all);
    t.equal(link.unsent, 0);
  });

  t.test('what a slow reader does not take waits, and comes in order', async (t) => {
    const { link, theirs } = await setUp(t);
    theirs.pause();
    const piece = Buffer.alloc(100_003, 'abcdefg');
    let sent = 0;
    for (; sent < MUCH; sent += piece.length) link.write(piece);
    t.ok(link.unsent > MUCH / 2 && link.unsent < sent, `${link.unsent} of ${sent} wait`);
    link.write(Buffer.from('last'));
    const before = link.unsent;
    await nextTurn();
    t.equal(link.unsent, before, 'nobody reads');
    let came = Buffer.alloc(0);
    theirs.on('data', (chunk: Buffer) => {
      came = Buffer.concat([came, chunk]);
    });
    theirs.resume();
    await until('all of it', () => came.length === sent + 4);
    t.equal(link.unsent, 0);
    t.ok(came.subarray(0, sent).equals(Buffer.concat(Array(sent / piece.length).fill(piece))));
    t.equal(came.subarray(sent).toString(), 'last');
  });

  t.test('nothing is read while it is paused', async (t) => {
    const { link, theirs, text } = await setUp(t);
    theirs.write('a');
    await until('the first', () => text() === 'a');
    link.pause();
    theirs.write('b');
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    t.equal(text(), 'a');
    link.resume();
    await until('the second', () => text() === 'ab');
  });

  for (const how of ['end', 'destroy'] as const) {
    t.test(`what a peer said before its ${how} comes before it is told, once`, async (t) => {
      const { link, theirs, over, text, closes } = await setUp(t);
      const said = 'x'.repeat(100_000);
      theirs.write(said);
      await until('the kernel to have it', () => theirs.writableLength === 0);
      theirs[how]();
      await over;
      t.equal(text(), said);
      t.ok(link.isDestroyed);
      t.doesNotThrow(() => link.write(Buffer.from('to nobody')));
      link.destroy();
      await nextTurn();
      t.equal(closes(), 1);
    });
  }

  t.test('its own end comes behind what waits', async (t) => {
    const { link, theirs } = await setUp(t);
    theirs.pause();
    for (let sent = 0; sent < MUCH; sent += 1 << 20) link.write(Buffer.alloc(1 << 20));
    let ended = false;
    const done = new Promise<void>((resolve) =>
      link.end(() => {
        ended = true;
        resolve();
      }),
    );
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    t.notOk(ended, 'the kernel does not have it all');
    let came = 0;
    theirs.on('data', (chunk: Buffer) => {
      came += chunk.length;
    });
    theirs.resume();
    await Promise.all([done, once(theirs, 'end')]);
    t.equal(came, MUCH);
  });

  t.test('an end is told also when nobody is there to have it', async (t) => {
    const { link, theirs, over } = await setUp(t);
    theirs.destroy();
    await over;
    await new Promise<void>((resolve) => link.end(resolve));
    t.pass('told');
  });

  t.test('a link that is destroyed is over for both, and tells so once, later', async (t) => {
    const { link, theirs, over, closes } = await setUp(t);
    const ended = once(theirs.resume(), 'close');
    link.destroy();
    t.ok(link.isDestroyed);
    t.equal(closes(), 0, 'not within the call');
    link.destroy();
    await Promise.all([over, ended]);
    await nextTurn();
    t.equal(closes(), 1);
  });

  t.test('a reader that dies takes what waits with it', async (t) => {
    const { link, theirs, over } = await setUp(t);
    theirs.pause();
    for (let sent = 0; sent < MUCH; sent += 1 << 20) link.write(Buffer.alloc(1 << 20));
    const done = new Promise<void>((resolve) => link.end(resolve));
    theirs.destroy();
    await Promise.all([over, done]);
    t.pass('both are told');
  });
}

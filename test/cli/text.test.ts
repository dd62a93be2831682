import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import t from 'tap';
import type { WorkerView } from '../../src/application/supervise-workers.ts';
import { askYesNo } from '../../src/cli/ask.ts';
import { duration } from '../../src/cli/explain-text.ts';
import { toJson } from '../../src/cli/output.ts';
import { describeChanges, describeRoll, describeStart } from '../../src/cli/roll-progress.ts';
import { printable } from '../../src/printable.ts';

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom('\x1b', '\n', '\x7f', '\u009b', '\u202e', '\ud800', '\u{e0001}'), fc.string()),
});

t.test('no text reaches a terminal as a command to it', async () => {
  fc.assert(fc.property(anyText, (given) => !UNSAFE.test(printable(given))));
  fc.assert(fc.property(fc.string({ unit: 'grapheme-ascii' }), (given) => printable(given) === given));
});

t.test('JSON is harmless as well, and means the same', async (t) => {
  fc.assert(
    fc.property(anyText, (given) => {
      const json = toJson({ given: [given] });
      t.notMatch(json.replaceAll('\n', ''), UNSAFE);
      t.same(JSON.parse(json), { given: [given] });
    }),
  );
});

t.test('durations', async (t) => {
  const shown: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [999, '0 s'],
    [45_000, '45 s'],
    [200_000, '3 min 20 s'],
    [180_000, '3 min'],
    [7_500_000, '2 h 5 min'],
    [90_000_000, '1 d 1 h'],
    [86_400_000 + 59_000, '1 d'],
  ];
  for (const [ms, expected] of shown) t.equal(duration(ms), expected);
});

t.test('what a roll did between two looks', async (t) => {
  const worker = (incarnation: number, state: WorkerView['state'], connections = 0): WorkerView => ({
    pid: 100 + incarnation,
    incarnation,
    state,
    connections,
    resetInMs: state === 'draining' ? 1000 : null,
  });
  t.same(describeChanges([worker(1, 'serving')], [worker(1, 'serving', 5)]), []);
  t.same(describeChanges([worker(1, 'serving')], [worker(1, 'serving'), worker(2, 'starting')]), [
    'worker 102 (incarnation 2) starts',
  ]);
  t.same(
    describeChanges([worker(1, 'serving'), worker(2, 'starting')], [worker(1, 'draining', 1), worker(2, 'serving')]),
    ['worker 101 (incarnation 1) drains 1 connection', 'worker 102 (incarnation 2) accepts connections'],
  );
  t.same(describeChanges([worker(1, 'draining')], []), ['worker 101 (incarnation 1) has ended']);
});

t.test('only yes is yes', async (t) => {
  const answers: readonly (readonly [string, boolean])[] = [
    ['y\n', true],
    [' YES \n', true],
    ['yes', true],
    ['\n', false],
    ['n\ny\n', false],
    ['yesterday\n', false],
    ['', false],
  ];
  for (const [answer, expected] of answers) {
    const input = new PassThrough();
    const output = new PassThrough();
    input.end(answer);
    t.equal(await askYesNo('delete \x1b[1mx?', input, output), expected, JSON.stringify(answer));
    output.end();
    t.equal(await text(output), 'delete \\u{1b}[1mx? [y/N] ');
  }
});

t.test('what a roll is about to do, and what came of it', async (t) => {
  const worker = (connections: number): WorkerView => ({
    pid: 1,
    incarnation: 1,
    state: 'serving',
    connections,
    resetInMs: null,
  });
  t.same(describeStart({ workers: [worker(0)], drainMs: 30_000, reset: 0 }), ['rolling 1 worker, one at a time']);
  t.same(
    describeStart({ workers: [worker(3), worker(4)], drainMs: 30_000, reset: 0 })[1],
    '7 connections open: what still is 30 s after its worker was replaced is reset',
  );
  t.equal(describeRoll({ replaced: 2, draining: 0, resetInMs: 0, stopping: false }), 'replaced 2 workers');
  t.match(
    describeRoll({ replaced: 2, draining: 5, resetInMs: 29_000, stopping: false }),
    /; 5 connections of theirs .* 29 s more/,
  );
  t.match(
    describeRoll({ replaced: 1, draining: 0, resetInMs: 0, stopping: true }),
    /^replaced 1 worker; the proxy is stopping/,
  );
});

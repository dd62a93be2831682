import fc from 'fast-check';
import t from 'tap';
import { REFUSAL_REASONS } from '../../src/domain/entities.ts';
import { MAX_BACKEND_NUMBERS } from '../../src/ipc/backend-numbers.ts';
import { isLifecycleMessage, isPrimaryLifecycle } from '../../src/ipc/lifecycle.ts';
import { FromPrimary, FromWorker } from '../../src/ipc/messages.ts';
import { isPrimaryMessage, isWorkerMessage } from '../../src/ipc/validate.ts';

const NAME = 'x'.repeat(255);
const LONG = 'x'.repeat(256);
const IPV4 = Uint8Array.of(10, 0, 0, 1);
const IPV6 = new Uint8Array(16).fill(0xfe);

const FROM_WORKER: readonly (readonly unknown[])[] = [
  [FromWorker.hello, 1, 3],
  [FromWorker.heartbeat],
  [FromWorker.pickAgain, 1, 0, IPV4, [['a', 'EMFILE', 1, true]]],
  [FromWorker.pickAgain, 2 ** 53 - 1, 65_535, IPV6, new Array(64).fill([NAME, 'ECONNREFUSED', 0.5, false])],
  [FromWorker.connectFailed, 1, 'ECONNREFUSED', 0.5, false, false],
  [FromWorker.abandoned, 1],
  ...REFUSAL_REASONS.map((reason) => [FromWorker.unserved, 7, 0, IPV4, reason, 1.5, [['a', 'EMFILE', 1, true]]]),
  [FromWorker.synced, 1],
];

const FROM_PRIMARY: readonly (readonly unknown[])[] = [
  [FromPrimary.welcome, 1],
  [FromPrimary.denied, 'because'],
  [FromPrimary.heartbeat],
  [FromPrimary.backend, MAX_BACKEND_NUMBERS - 1, NAME, '2001:db8::1', 65_535],
  [FromPrimary.waits, 1, 1000.5],
  ...REFUSAL_REASONS.map((reason) => [FromPrimary.refused, 1, reason]),
  [FromPrimary.cap, 0],
  [FromPrimary.sync, 1],
];

/** What no field of any message may hold. */
const NOWHERE = [
  undefined,
  null,
  NaN,
  Infinity,
  -1,
  true,
  1n,
  LONG,
  {},
  { length: 0 },
  new Map(),
  new Date(0),
  [1],
  [null],
  new Uint8Array(5),
  new Uint8Array(0),
  [10, 0, 0, 1],
];

for (const [side, messages, check, other] of [
  ['worker', FROM_WORKER, isWorkerMessage, isPrimaryMessage],
  ['primary', FROM_PRIMARY, isPrimaryMessage, isWorkerMessage],
] as const) {
  t.test(`every message of the ${side} is taken`, async (t) => {
    for (const message of messages) t.ok(check(message), JSON.stringify(message).slice(0, 80));
  });

  t.test(`a message of the ${side} with a field too many, too few or of another form is not`, async (t) => {
    for (const message of messages) {
      const name = JSON.stringify(message).slice(0, 80);
      t.notOk(check([...message, 0]), `${name} and a field more`);
      t.notOk(check(message.slice(0, -1)), `${name} without its last field`);
      for (let field = 1; field < message.length; field++) {
        const kept = typeof message[field] === 'boolean' ? [true] : [];
        const spoilt = NOWHERE.filter((value) => check(message.with(field, value)) && !kept.includes(value as boolean));
        t.same(spoilt, [], `${name}, field ${field}`);
        if (typeof message[field] === 'number')
          t.notOk(check(message.with(field, '1')), `${name}, field ${field} as text`);
        if (typeof message[field] === 'string')
          t.notOk(check(message.with(field, 1)), `${name}, field ${field} as a number`);
      }
    }
  });

  t.test(`what is no message of the ${side} at all is not taken`, async (t) => {
    const strangers = [
      undefined,
      null,
      0,
      'pick',
      {},
      [],
      [0],
      [99],
      [-1],
      ['1'],
      [[1]],
      [NaN],
      [1.5],
      { 0: 2, length: 1 },
    ];
    for (const stranger of strangers) t.notOk(check(stranger), String(stranger));
    t.notOk(check(['__proto__']) || check(['constructor']) || check(['toString']));
    fc.assert(
      fc.property(fc.anything(), (value) => !check(value)),
      { numRuns: 500 },
    );
  });

  t.test(`the other side's longer messages are none of the ${side}'s`, async (t) => {
    const theirs = side === 'worker' ? FROM_PRIMARY : FROM_WORKER;
    for (const message of theirs.filter((message) => message.length > 3 && other(message))) t.notOk(check(message));
  });
}

t.test('particular values that only their own field refuses', async (t) => {
  t.notOk(
    isWorkerMessage([FromWorker.pickAgain, 1, 0, IPV4, new Array(65).fill(['a', 'b', 1, true])]),
    'too many tried',
  );
  for (const dial of [
    'a',
    ['a', 'b', 1],
    ['a', 'b', 1, true, 1],
    ['a', 'b', -1, true],
    ['a', 'b', 1, 1],
    ['a', 7, 1, true],
    null,
  ])
    t.notOk(isWorkerMessage([FromWorker.pickAgain, 1, 0, IPV4, [dial]]), JSON.stringify(dial));
  t.notOk(isWorkerMessage([FromWorker.pickAgain, 1, 0, IPV4, [[LONG, 'b', 1, true]]]), 'a tried id that is too long');
  t.notOk(isWorkerMessage([FromWorker.pickAgain, 2 ** 53, 0, IPV4, []]), 'a number that is not exact');
  t.notOk(isWorkerMessage([FromWorker.pickAgain, 1.5, 0, IPV4, []]), 'half a number');
  t.notOk(isWorkerMessage([FromWorker.unserved, 0, 0, IPV4, 'bored', 1, []]), 'an unknown reason');
  t.notOk(isPrimaryMessage([FromPrimary.refused, 1, 'bored']), 'an unknown reason');
  t.notOk(isPrimaryMessage([FromPrimary.backend, MAX_BACKEND_NUMBERS, 'a', '10.0.0.1', 1]), 'a number beyond the last');
});

t.test('lifecycle messages are told from those of others', async (t) => {
  const log = { edgeproxy: 'log', level: 'warn', message: 'said', fields: {} };
  for (const message of [
    { edgeproxy: 'loaded' },
    { edgeproxy: 'accepting' },
    { edgeproxy: 'retire' },
    { edgeproxy: 'failed', reason: 'x' },
    log,
  ])
    t.ok(isLifecycleMessage(message), message.edgeproxy);
  t.ok(isPrimaryLifecycle({ edgeproxy: 'listen', listener: 0, last: true }));
  t.ok(isPrimaryLifecycle({ edgeproxy: 'drain' }));
  t.ok(isPrimaryLifecycle({ edgeproxy: 'config', version: 1, config: {} }));
  for (const message of [
    null,
    undefined,
    'shutdown',
    7,
    {},
    { type: 'axm:monitor' },
    { edgeproxy: 'x' },
    { edgeproxy: null },
    { edgeproxy: 'failed', reason: 7 },
    { ...log, level: 'loud' },
    { ...log, message: 1 },
    { ...log, fields: null },
    { edgeproxy: 'listen', listener: 'first' },
  ]) {
    t.notOk(isLifecycleMessage(message));
    t.notOk(isPrimaryLifecycle(message));
  }
  t.notOk(isLifecycleMessage({ edgeproxy: 'drain' }));
  t.notOk(isPrimaryLifecycle({ edgeproxy: 'accepting' }));
});

import t from 'tap';
import type { Logs } from '../../src/adapters/outbound/log/pino-log.ts';
import { readiness } from '../../src/application/readiness.ts';
import type { RefusalReason } from '../../src/domain/entities.ts';
import { LogModule } from '../../src/modules/log/log.ts';
import { LISTENERS, Rig } from './rig.ts';

const ROUTING = { version: 1, backends: 1, badRows: 0, error: '', loads: 1, failures: 0 };
const WORKERS = {
  desired: 2,
  serving: 2,
  starting: 0,
  draining: 0,
  crashes: 0,
  restartInMs: 0,
  lastCrash: '',
  isOtherOnDisk: false,
};

async function look(given: {
  rows?: object[] | null;
  listeners?: typeof LISTENERS;
  routing?: object;
  workers?: object;
  stopping?: boolean;
  /** Listener, backend, code, whether it is for something that we lack, and when. */
  dials?: readonly (readonly [string, string, string, boolean, number])[];
  turnedAway?: readonly RefusalReason[];
  now?: number;
  silent?: { incarnation: number; silentMs: number }[];
}) {
  const rig = new Rig();
  if (given.rows !== null) await rig.serve(given.rows ?? [{ id: 'a' }]);
  const { listeners = LISTENERS, stopping = false, dials = [], turnedAway = [], now = 0, silent = [] } = given;
  for (const [listener, backend, code, ours, at] of dials) rig.outcomes.failed(listener, backend, code, ours, at);
  for (const reason of turnedAway) rig.outcomes.refused(reason, 0);
  const health = { ...ROUTING, ...given.routing };
  const workers = { ...WORKERS, ...given.workers };
  const modules = rig.modules(health, workers, { listeners, silent, now });
  return readiness({ modules, stopping, routing: health, workers });
}

t.test('ready with a table, a backend for some listener, and a worker', async (t) => {
  t.match(await look({}), { ready: true, reasons: [] });
  t.match(await look({ workers: { serving: 1, starting: 1 } }), { ready: true });
});

for (const [what, given, reason] of [
  ['the first table', { rows: null }, /no routing table/],
  ['a row', { rows: [] }, /no backend is enabled/],
  ['an enabled backend', { rows: [{ healthy: false }, { weight: 0 }, { deleted: true }] }, /no backend is enabled/],
  [
    "a backend of the listeners' apps",
    { rows: [{ app: 'web' }], listeners: LISTENERS.slice(1) },
    /no backend is enabled/,
  ],
  ['a worker', { workers: { serving: 0, starting: 2 }, listeners: LISTENERS.slice(0, 1) }, /no worker/],
  ['an end in sight', { stopping: true, listeners: LISTENERS.slice(0, 1) }, /stopping/],
] as const) {
  t.test(`not ready without ${what}`, async (t) => {
    const { ready, reasons } = await look({
      ...given,
      rows: given.rows === undefined ? undefined : given.rows,
    } as never);
    t.notOk(ready);
    t.equal(reasons.length, 1);
    t.match(reasons[0], reason);
  });
}

t.test('what is worth a look is told, and is no reason not to serve', async (t) => {
  const { ready, reasons } = await look({
    routing: { error: 'routing.db is not there', badRows: 3 },
    workers: { crashes: 4, lastCrash: 'exit code 1', restartInMs: 800, isOtherOnDisk: true },
  });
  t.ok(ready);
  t.match(reasons, [
    /routing\.db is not there/,
    /^3 routing rows/,
    /^listener 127\.0\.0\.1:8081 refuses its clients: no backend of app game is enabled/,
    /4 in a row, last by exit code 1; next start in 800 ms/,
    /^the code on disk is of another release than the workers run: roll/,
  ]);
  t.notMatch((await look({ workers: { crashes: 1 } })).reasons.join(), /crash/, 'one crash is no loop');
  t.match((await look({ workers: { crashes: 2 } })).reasons.join(), /2 in a row/, 'a second one is');
  t.match((await look({ routing: { badRows: 1 } })).reasons.join(), /^1 routing rows/);
});

const [ANY, GAME] = LISTENERS.map(({ name }) => name) as [string, string];
const tenSeconds = (listener: string, backend: string, code = 'ECONNREFUSED', ours = false) =>
  [0, 5000, 10_000].map((at) => [listener, backend, code, ours, at] as const);

t.test(
  'not ready while every dial has been failing for ten seconds; ready again when nobody has dialled for a minute',
  async (t) => {
    const listeners = LISTENERS.slice(0, 1);
    const dials = tenSeconds(ANY, 'a');
    const { ready, reasons } = await look({ listeners, dials, now: 11_000 });
    t.notOk(ready);
    t.match(reasons, [
      /^listener 127.0.0.1:8080 reaches no backend: the last 3 dials failed, over 10.0 s, the last one 1.0 s ago with ECONNREFUSED$/,
      /^backend a cannot be reached: .* ECONNREFUSED$/,
    ]);
    t.match(await look({ listeners, dials, now: 70_000 }), { ready: true, reasons: [] });
    t.match(await look({ listeners, dials: dials.slice(0, 2), now: 11_000 }), { ready: true });
  },
);

t.test('one listener that reaches nobody is told, and is no reason not to serve another', async (t) => {
  const rows = [{ id: 'a' }, { id: 'g', app: 'game' }];
  const { ready, reasons } = await look({ rows, dials: tenSeconds(GAME, 'g'), now: 10_000 });
  t.ok(ready);
  t.match(reasons, [/^listener 127.0.0.1:8081 reaches no backend/, /^backend g cannot be reached/]);
  t.notOk((await look({ rows, dials: [...tenSeconds(GAME, 'g'), ...tenSeconds(ANY, 'a')], now: 10_000 })).ready);
});

t.test('what this host lacks is told with what to do, and no backend is named for it', async (t) => {
  const { ready, reasons } = await look({
    listeners: LISTENERS.slice(0, 1),
    dials: tenSeconds(ANY, 'a', 'EMFILE', true),
    now: 10_000,
  });
  t.notOk(ready, 'nobody is served');
  t.match(reasons, [/^listener .* EMFILE$/, /^this host cannot dial \(EMFILE, 3 times, last 0.0 s ago\): .*ulimit/]);
});

t.test('of many backends that fail some are named, and none that is not there any more', async (t) => {
  const names = Array.from({ length: 8 }, (_, i) => `b${i}`);
  const rows = [...names.slice(1).map((id) => ({ id })), { id: 'b0', healthy: false }];
  const dials = names.flatMap((id) => [1, 2, 3].map((at) => [ANY, id, 'ETIMEDOUT', false, at] as const));
  const { ready, reasons } = await look({ rows, listeners: LISTENERS.slice(0, 1), dials, now: 5 });
  t.ok(ready);
  t.equal(reasons.length, 6);
  t.match(reasons.at(-1), /^nor can 2 more backends$/);
  t.notMatch(reasons.join(), /b0/);
});

t.test('a worker that is silent is worth a look', async (t) => {
  const { ready, reasons } = await look({
    listeners: LISTENERS.slice(0, 1),
    silent: [{ incarnation: 4, silentMs: 3210 }],
  });
  t.ok(ready);
  t.same(reasons, ['worker 4 has said nothing for 3.2 s']);
});

t.test('clients that are turned away undialled are told of, for a minute, with what to do', async (t) => {
  const told = async (now: number) => (await look({ listeners: LISTENERS.slice(0, 1), turnedAway, now })).reasons;
  const turnedAway = [...Array(3).fill('descriptor_limit'), 'all_full', 'no_backend', 'connect_failed'];
  t.match(await told(1500), [
    /^clients are turned away \(descriptor_limit, 3 times, last 1\.5 s ago\): .*ulimit -n/,
    /^clients are turned away \(all_full, 1 times, last 1\.5 s ago\): .*hard_limit/,
  ]);
  t.equal((await told(1500)).length, 2, 'what the table and the dials tell is told by them');
  t.same(await told(60_000), []);
});

t.test('a log that loses lines is told of where it can be read', async (t) => {
  const logs = (lost: number) => ({ dropped: () => 30, lostLately: () => lost }) as unknown as Logs;
  t.match(new LogModule(logs(29), new Rig().boundary).reasons(), {
    missing: [],
    notes: [/^the log is full, or its reader stalls: 29 lines were lost/],
  });
  t.same(new LogModule(logs(0), new Rig().boundary).reasons(), { missing: [], notes: [] });
});

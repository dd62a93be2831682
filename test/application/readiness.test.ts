import t from 'tap';
import { readiness } from '../../src/application/readiness.ts';
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
}) {
  const rig = new Rig();
  if (given.rows !== null) await rig.serve(given.rows ?? [{ id: 'a' }]);
  const { listeners = LISTENERS, stopping = false } = given;
  return readiness(
    rig.routing,
    listeners,
    { ...ROUTING, ...given.routing },
    { ...WORKERS, ...given.workers },
    stopping,
  );
}

t.test('ready with a table, a backend for some listener, and a worker', async (t) => {
  t.match(await look({}), { ready: true, reasons: [] });
  t.match(await look({ workers: { serving: 1, starting: 1 } }), { ready: true });
});

for (const [what, given, reason] of [
  ['the first table', { rows: null }, /no routing table/],
  ['a row', { rows: [] }, /no backend is up/],
  ['a backend that is up', { rows: [{ healthy: false }, { weight: 0 }, { deleted: true }] }, /no backend is up/],
  ["a backend of the listeners' apps", { rows: [{ app: 'web' }], listeners: LISTENERS.slice(1) }, /no backend is up/],
  ['a worker', { workers: { serving: 0, starting: 2 } }, /no worker/],
  ['an end in sight', { stopping: true }, /stopping/],
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
    /4 in a row, last by exit code 1; next start in 800 ms/,
    /^the code on disk is of another release than the workers run: roll/,
    /^listener 127\.0\.0\.1:8081 refuses its clients: no backend of app game is up/,
  ]);
  t.notMatch((await look({ workers: { crashes: 1 } })).reasons.join(), /crash/, 'one crash is no loop');
});

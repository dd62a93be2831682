import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { InternalErrors } from '../../src/application/internal-errors.ts';
import { sweepBindings } from '../../src/application/sweep-bindings.ts';
import { WatchGeoip } from '../../src/application/watch-geoip.ts';
import { clientKey } from '../../src/domain/client-key.ts';
import { clientAddress } from '../domain/arbitraries.ts';
import { keepingLog } from '../fixtures/silent-log.ts';
import { until } from '../fixtures/until.ts';
import { Rig, TTL_MS } from './rig.ts';

t.test('expired bindings are swept in slices, those in use stay', async (t) => {
  const rig = new Rig();
  for (let n = 0; n < 2500; n++) rig.bindings.bind(clientKey('', clientAddress(n)), 'a', null, 0);
  rig.bindings.acquire(rig.bindings.find(clientKey('', clientAddress(7)), 0));
  const limits: number[] = [];
  const sweep = rig.bindings.sweep.bind(rig.bindings);
  rig.bindings.sweep = (now, limit) => {
    const freed = sweep(now, limit);
    limits.push(freed);
    return freed;
  };
  rig.now = TTL_MS;
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const sweeps = sweepBindings(rig.bindings, rig.clock, rig.boundary, 60_000);
  t.teardown(() => sweeps.stop());
  mock.timers.tick(60_000);
  t.same(limits, [1000], 'the loop turns between slices');
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  t.same(limits, [1000, 1000, 499], 'and then it waits for its time');
  t.equal(rig.bindings.size, 1);
});

t.test('a stopped sweep frees no more', async (t) => {
  const rig = new Rig();
  for (let n = 0; n < 2500; n++) rig.bindings.bind(clientKey('', clientAddress(n)), 'a', null, 0);
  const sweep = rig.bindings.sweep.bind(rig.bindings);
  const stopped = new Promise<void>((resolve) => {
    rig.bindings.sweep = (now, limit) => {
      void sweeps.stop();
      resolve();
      return sweep(now, limit);
    };
  });
  rig.now = TTL_MS;
  const sweeps = sweepBindings(rig.bindings, rig.clock, rig.boundary, 1);
  const keepAlive = setInterval(() => {}, 1000);
  await stopped;
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  clearInterval(keepAlive);
  t.equal(rig.bindings.size, 1500);
});

t.test('a bad GeoIP file is named once, and again when it differs', async (t) => {
  const log = keepingLog();
  const updates = ['bad', 'bad', 'worse', '', 'worse', 'unchanged', 'worse'];
  const watch = new WatchGeoip(
    {
      path: 'geo.mmdb',
      checkForUpdate: async () => {
        const update = updates.shift()!;
        if (update === 'unchanged') return { kind: 'unchanged' };
        return update === '' ? { kind: 'reloaded' } : { kind: 'failed', message: update };
      },
    },
    log,
    new InternalErrors(log, { now: () => 0 }),
  );
  await watch.look();
  t.same(watch.reasons(), { missing: [], notes: ['the GeoIP database of before serves on: bad'] });
  for (let look = 0; look < 3; look++) await watch.look();
  t.same(watch.reasons(), { missing: [], notes: [] }, 'reloaded');
  while (updates.length > 0) await watch.look();
  t.same(
    log.said.map(({ level, fields }) => `${level} ${fields.reason ?? fields.path}`),
    ['error bad', 'error worse', 'info geo.mmdb', 'error worse', 'error worse'],
  );
});

t.test('a sweep that throws is told and counted, and the next one sweeps', async (t) => {
  const rig = new Rig();
  rig.bindings.bind(clientKey('', clientAddress(1)), 'a', null, 0);
  const sweep = rig.bindings.sweep.bind(rig.bindings);
  let sweeps = 0;
  rig.bindings.sweep = (now, limit) => {
    if (++sweeps < 3) throw new Error('a broken list');
    return sweep(now, limit);
  };
  rig.now = TTL_MS;
  const periodic = sweepBindings(rig.bindings, rig.clock, rig.boundary, 1);
  t.teardown(() => periodic.stop());
  await until('the sweep', () => rig.bindings.size === 0);
  t.equal(rig.boundary.counts().get('bindings'), 2);
});

t.test('a look at the GeoIP file that throws is told once, and the looks go on', async (t) => {
  const log = keepingLog();
  const boundary = new InternalErrors(log, { now: () => 0 });
  let looks = 0;
  const watch = new WatchGeoip(
    {
      path: 'geo.mmdb',
      checkForUpdate: () => {
        looks++;
        return looks < 4 ? Promise.reject(new Error('a bad pointer')) : Promise.resolve({ kind: 'reloaded' });
      },
    },
    log,
    boundary,
  );
  t.teardown(() => watch.stop());
  watch.every(1);
  await until('looks', () => looks > 4);
  t.same(
    log.said.slice(0, 3).map(({ message }) => message),
    [
      'internal error; everything else goes on',
      'GeoIP database not reloaded; the one before serves on',
      'GeoIP database reloaded',
    ],
  );
  t.equal(boundary.counts().get('geoip'), 1);
});

t.test('a stop of the watch during a look is followed by no further one', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  let looks = 0;
  let letGo = () => {};
  const log = keepingLog();
  const geoip = {
    path: 'geo.mmdb',
    checkForUpdate: async () => {
      looks++;
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      return { kind: 'unchanged' } as const;
    },
  };
  const watch = new WatchGeoip(geoip, log, new InternalErrors(log, { now: () => 0 }));
  const turn = async () => {
    mock.timers.tick(1000);
    await nextTurn();
  };
  watch.every(1000);
  await turn();
  letGo();
  await nextTurn();
  await turn();
  t.equal(looks, 2);
  const stopped = watch.stop();
  letGo();
  await stopped;
  for (let i = 0; i < 3; i++) await turn();
  t.equal(looks, 2);
});

import t from 'tap';
import { sweepBindings } from '../../src/application/sweep-bindings.ts';
import { WatchGeoip } from '../../src/application/watch-geoip.ts';
import { clientKey } from '../../src/domain/client-key.ts';
import { clientAddress } from '../domain/arbitraries.ts';
import { keepingLog } from '../fixtures/silent-log.ts';
import { until } from '../fixtures/until.ts';
import { Rig, TTL_MS } from './rig.ts';

t.test('expired bindings are swept in slices, those in use stay', async (t) => {
  const rig = new Rig();
  for (let n = 0; n < 2500; n++) rig.bindings.bind(clientKey('', clientAddress(n)), 'a', 0);
  rig.bindings.acquire(rig.bindings.find(clientKey('', clientAddress(7)), 0));
  const limits: number[] = [];
  const sweep = rig.bindings.sweep.bind(rig.bindings);
  rig.bindings.sweep = (now, limit) => {
    const freed = sweep(now, limit);
    limits.push(freed);
    return freed;
  };
  rig.now = TTL_MS;
  const stop = sweepBindings(rig.bindings, rig.clock, 1);
  t.teardown(stop);
  await until('the sweep', () => rig.bindings.size === 1);
  t.same(limits.slice(0, 3), [1000, 1000, 499], 'the loop turns between slices');
});

t.test('a stopped sweep frees no more', async (t) => {
  const rig = new Rig();
  for (let n = 0; n < 2500; n++) rig.bindings.bind(clientKey('', clientAddress(n)), 'a', 0);
  const sweep = rig.bindings.sweep.bind(rig.bindings);
  const stopped = new Promise<void>((resolve) => {
    rig.bindings.sweep = (now, limit) => {
      stop();
      resolve();
      return sweep(now, limit);
    };
  });
  rig.now = TTL_MS;
  const stop = sweepBindings(rig.bindings, rig.clock, 1);
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
  );
  while (updates.length > 0) await watch.look();
  t.same(
    log.said.map(({ level, fields }) => `${level} ${fields.reason ?? fields.path}`),
    ['error bad', 'error worse', 'info geo.mmdb', 'error worse', 'error worse'],
  );
});

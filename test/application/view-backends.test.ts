import t from 'tap';
import { viewBackends } from '../../src/application/view-backends.ts';
import { Rig } from './rig.ts';

t.test('each backend is shown with its slots and its state', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'gone' }]);
  rig.pick(1, '10.0.0.1');
  await rig.serve([{ id: 'leaving' }]);
  rig.pick(2, '10.0.0.2');
  await rig.serve([{ id: 'busy', softLimit: 1, hardLimit: 3 }]);
  rig.pick(3, '10.0.0.3');
  rig.pick(4, '10.0.0.4');
  await rig.serve([{ id: 'full', hardLimit: 1 }]);
  rig.pick(5, '10.0.0.5');
  await rig.serve([
    { id: 'busy', softLimit: 1, hardLimit: 3 },
    { id: 'deleted', deleted: true, healthy: false },
    { id: 'draining', weight: 0 },
    { id: 'full', hardLimit: 1 },
    { id: 'leaving', deleted: true },
    { id: 'serving', softLimit: 0, host: '10.0.0.7', country: 'DE' },
    { id: 'unhealthy', healthy: false, weight: 0 },
  ]);
  const views = viewBackends(rig.routing, rig.ledger);
  t.same(
    views.map(({ id, connections, state }) => [id, connections, state]),
    [
      ['busy', 2, 'busy'],
      ['deleted', 0, 'deleted'],
      ['draining', 0, 'draining'],
      ['full', 1, 'full'],
      ['leaving', 1, 'draining'],
      ['serving', 0, 'serving'],
      ['unhealthy', 0, 'unhealthy'],
      ['gone', 1, 'gone'],
    ],
  );
  t.same(views[5], {
    id: 'serving',
    app: '',
    region: 'eu',
    country: 'DE',
    wg_ip: '10.0.0.7',
    port: 9005,
    healthy: true,
    weight: 1,
    soft_limit: 0,
    hard_limit: 0,
    deleted: false,
    connections: 0,
    state: 'serving',
  });
});

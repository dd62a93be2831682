import t from 'tap';
import { EpollDataPlane } from '../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../src/adapters/dataplane/epoll/load-addon.ts';
import { dataPlaneConformance } from './data-plane.ts';

// `npm run test:native-sanitize` runs this file over the build with sanitizers.
const loaded = loadAddon(process.env.EDGEPROXY_TEST_ADDON === 'Debug' ? 'Debug' : 'Release');

if (loaded.addon === null) {
  t.pass('skipped', { skip: `no epoll engine here: ${loaded.reason}` });
} else {
  const { addon } = loaded;
  t.test('EpollDataPlane', async (t) => dataPlaneConformance(t, (options) => new EpollDataPlane(options, addon)));
}

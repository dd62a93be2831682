import t from 'tap';
import { loadAddon } from '../../src/adapters/dataplane/epoll/load-addon.ts';
import { StreamDataPlane } from '../../src/adapters/dataplane/stream/stream-data-plane.ts';
import { dataPlaneConformance } from './data-plane.ts';

const { addon, reason } = loadAddon();
const blind = addon === null && `nothing here asks the kernel: ${reason}`;

t.test('StreamDataPlane', async (t) =>
  dataPlaneConformance(t, (options) => new StreamDataPlane(options, { lookAtWire: addon?.lookAtWire }), blind),
);

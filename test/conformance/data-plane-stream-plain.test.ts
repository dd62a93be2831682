import t from 'tap';
import { StreamDataPlane } from '../../src/adapters/dataplane/stream/stream-data-plane.ts';
import { dataPlaneConformance } from './data-plane.ts';

t.test('StreamDataPlane on a Node.js that does not give accepted handles away', async (t) =>
  dataPlaneConformance(t, (options) => new StreamDataPlane(options, { adopt: false }), 'without native code'),
);

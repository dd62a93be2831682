import t from 'tap';
import { StreamDataPlane } from '../../src/adapters/dataplane/stream/stream-data-plane.ts';
import { dataPlaneConformance } from './data-plane.ts';

t.test('StreamDataPlane', async (t) => dataPlaneConformance(t, (options) => new StreamDataPlane(options)));

import { chooseEngine } from '../../../src/adapters/dataplane/choose-engine.ts';
import { EpollDataPlane } from '../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../src/adapters/dataplane/epoll/load-addon.ts';
import { StreamDataPlane } from '../../../src/adapters/dataplane/stream/stream-data-plane.ts';
import type { DataPlane, DataPlaneOptions } from '../../../src/application/ports/data-plane.ts';
import { BUILD, type Engine } from '../../fixtures/engines.ts';

/** @throws EDGE_ERR_CONFIG where the native engine is wanted and not built */
export function makeEngine(
  wanted: Engine,
  options: DataPlaneOptions,
): DataPlane<Parameters<StreamDataPlane['listen']>[0]> {
  const choice = chooseEngine(wanted, () => loadAddon(BUILD));
  return choice.engine === 'epoll' ? new EpollDataPlane(options, choice.addon) : new StreamDataPlane(options);
}

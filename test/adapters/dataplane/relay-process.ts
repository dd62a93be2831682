import { readdirSync } from 'node:fs';
import { chooseEngine, type WantedEngine } from '../../../src/adapters/dataplane/choose-engine.ts';
import { EpollDataPlane } from '../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../src/adapters/dataplane/epoll/load-addon.ts';
import { StreamDataPlane } from '../../../src/adapters/dataplane/stream/stream-data-plane.ts';
import { bindListeners } from '../../../src/adapters/outbound/listening-sockets.ts';
import type { DataPlane, DataPlaneOptions } from '../../../src/application/ports/data-plane.ts';

/**
 * A process of its own for one engine, its second argument: relays every client to the port of loopback that its first
 * argument names. Tells its port once, and at any message its resident set, in bytes, now and at its peak, and how many
 * descriptors it has.
 */
const backendPort = Number(process.argv[2]);

const build = process.env.EDGEPROXY_TEST_ADDON === 'Debug' ? 'Debug' : 'Release';
const choice = chooseEngine(process.argv[3] as WantedEngine, () => loadAddon(build));
const options: DataPlaneOptions = {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  maxConnections: 100,
  onEvents: (events) => {
    for (const event of events) {
      if (event.type === 'accepted') engine.connect(event.conn, { host: '127.0.0.1', port: backendPort });
    }
  },
};
const engine: DataPlane<Parameters<StreamDataPlane['listen']>[0]> =
  choice.engine === 'epoll' ? new EpollDataPlane(options, choice.addon) : new StreamDataPlane(options);

const [bound] = bindListeners([{ name: 'relay', host: '127.0.0.1', port: 0, app: '' }]);
if (bound === undefined) throw new Error('nothing was bound');
await engine.listen(bound.handle, 0);
process.send?.({ port: bound.listener.port });
process.on('message', () => {
  // maxRSS is in KiB.
  process.send?.({
    rss: process.memoryUsage.rss(),
    peak: process.resourceUsage().maxRSS * 1024,
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
  });
});
process.on('disconnect', () => process.exit());

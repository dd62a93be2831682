import { EpollDataPlane } from '../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import { bindListeners } from '../../../../src/adapters/outbound/listening-sockets.ts';

/** A process of its own that may open few descriptors, and does not know it: tells its port, and every event. */
const loaded = loadAddon();
if (loaded.addon === null) throw new Error(loaded.reason);

const engine = new EpollDataPlane(
  {
    connectTimeoutMs: 60_000,
    idleTimeoutMs: 0,
    halfCloseTimeoutMs: 0,
    maxConnections: 1_000_000,
    onEvents: (events) => {
      for (const event of events) process.send?.(event);
    },
  },
  loaded.addon,
);
const [bound] = bindListeners([{ name: 'few', host: '127.0.0.1', port: 0, app: '' }]);
if (bound === undefined) throw new Error('nothing was bound');
await engine.listen(bound.handle, 3);
process.send?.({ type: 'port', port: bound.listener.port });
process.on('message', (conn: number) => engine.close(conn));
process.on('disconnect', () => process.exit());

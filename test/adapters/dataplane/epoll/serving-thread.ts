import { parentPort } from 'node:worker_threads';
import { EpollDataPlane } from '../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import { bindSocket } from '../../../fixtures/bind-socket.ts';

/** A thread with an engine of its own: tells its port, and every batch by a message. */
const loaded = loadAddon(process.env.EDGEPROXY_TEST_ADDON === 'Debug' ? 'Debug' : 'Release');
if (loaded.addon === null) throw new Error(loaded.reason);
const engine = new EpollDataPlane(
  {
    connectTimeoutMs: 60_000,
    idleTimeoutMs: 0,
    halfCloseTimeoutMs: 0,
    unackedTimeoutMs: 0,
    maxConnections: 100,
    onEvents: (events) => parentPort?.postMessage(events.length),
  },
  loaded.addon,
);
const bound = bindSocket();
await engine.listen(bound.handle, 0);
parentPort?.postMessage(bound.port);

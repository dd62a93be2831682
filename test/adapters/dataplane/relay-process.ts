import { StreamDataPlane } from '../../../src/adapters/dataplane/stream/stream-data-plane.ts';
import { bindListeners } from '../../../src/adapters/outbound/listening-sockets.ts';

/**
 * A process of its own for one engine: relays every client to the port of loopback that its argument names. Tells its
 * port once, and at any message its resident set, in bytes: now, and at its peak.
 */
const backendPort = Number(process.argv[2]);

const engine: StreamDataPlane = new StreamDataPlane({
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  maxConnections: 100,
  onEvents: (events) => {
    for (const event of events) {
      if (event.type === 'accepted') engine.connect(event.conn, { host: '127.0.0.1', port: backendPort });
    }
  },
});

const [bound] = bindListeners([{ name: 'relay', host: '127.0.0.1', port: 0, app: '' }]);
if (bound === undefined) throw new Error('nothing was bound');
await engine.listen(bound.handle, 0);
process.send?.({ port: bound.listener.port });
process.on('message', () => {
  // maxRSS is in KiB.
  process.send?.({ rss: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 });
});
process.on('disconnect', () => process.exit());

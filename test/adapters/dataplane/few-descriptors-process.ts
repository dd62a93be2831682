import { bindSocket } from '../../fixtures/bind-socket.ts';
import type { Engine } from '../../fixtures/engines.ts';
import { makeEngine } from './make-engine.ts';

/**
 * A process of its own that may open few descriptors, and does not know it, for the engine that its argument names: tells
 * its port, and every event. A message names a connection, to be closed, or to be dialled for, at a port of loopback.
 */
const engine = makeEngine(process.argv[2] as Engine, {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  maxConnections: 1_000_000,
  onEvents: (events) => {
    for (const event of events) process.send?.(event);
  },
});
const bound = bindSocket();
await engine.listen(bound.handle, 3);
process.send?.({ type: 'port', port: bound.port });
process.on('message', ({ conn, dial }: { conn: number; dial?: number }) => {
  if (dial === undefined) engine.close(conn);
  else engine.connect(conn, { to: { host: '127.0.0.1', port: dial } });
});
process.on('disconnect', () => process.exit());

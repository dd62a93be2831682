import { readdirSync } from 'node:fs';
import { bindSocket } from '../../fixtures/bind-socket.ts';
import type { Engine } from '../../fixtures/engines.ts';
import { makeEngine } from './make-engine.ts';

/** What a relay's process has used, and what passed through it. */
export interface Usage {
  /** Resident bytes, now and at their peak. */
  readonly rss: number;
  readonly peak: number;
  /** Bytes that JavaScript's objects hold, after a collection where the process was started with `--expose-gc`. */
  readonly heap: number;
  readonly descriptors: number;
  readonly accepted: number;
  readonly closed: number;
}

/**
 * A process of its own for one engine, its second argument: relays every client to the port of loopback that its first
 * argument names. Tells its port once, and at any message its usage.
 */
const backendPort = Number(process.argv[2]);
const engineName = process.argv[3] as Engine;

let accepted = 0;
let closed = 0;
const engine = makeEngine(engineName, {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  maxConnections: 100,
  onEvents: (events) => {
    for (const event of events) {
      if (event.type === 'closed') closed++;
      if (event.type !== 'accepted') continue;
      accepted++;
      engine.connect(event.conn, { to: { host: '127.0.0.1', port: backendPort } });
    }
  },
});

const bound = bindSocket();
await engine.listen(bound.handle, 0);
process.send?.({ port: bound.port });
process.on('message', () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const usage: Usage = {
    rss: process.memoryUsage.rss(),
    // maxRSS is in KiB.
    peak: process.resourceUsage().maxRSS * 1024,
    heap: heapUsed + external,
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
    accepted,
    closed,
  };
  process.send?.(usage);
});
process.on('disconnect', () => process.exit());

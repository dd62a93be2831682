import { once } from 'node:events';
import net from 'node:net';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';
import { bindSocket } from '../../fixtures/bind-socket.ts';
import type { Engine } from '../../fixtures/engines.ts';
import { makeEngine } from './make-engine.ts';

/** What came of dials to a port of loopback on which nobody listens, and which the kernel gives to whoever dials. */
export interface SelfDials {
  /** Of a program that does not look, of as many dials. */
  readonly metItself: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** A backend could listen there right after the last of them. */
  readonly free: boolean;
}

const DIALS = 300;
const LISTENING = 8080;

/** Runs in a network namespace of its own: `ENGINE HOST PORT`, of which PORT is one of few that the kernel gives out. */
const [name, host = '', port = ''] = process.argv.slice(2);
const to = { host, port: Number(port) };

const outcomes: Record<string, number> = {};
let dials = 0;
let done = () => {};
const over = new Promise<void>((resolve) => {
  done = resolve;
});

const engine = makeEngine(name as Engine, {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  maxConnections: 10,
  onEvents: (events) => {
    for (const event of events) onEvent(event);
  },
});

function onEvent(event: DataPlaneEvent): void {
  if (event.type !== 'accepted' && event.type !== 'connected' && event.type !== 'connectFailed') return;
  if (event.type !== 'accepted') {
    const outcome = event.type === 'connected' ? event.type : event.code;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    dials++;
  }
  if (event.type !== 'connected' && dials < DIALS) engine.connect(event.conn, { to });
  else done();
}

async function listens(): Promise<boolean> {
  const server = net.createServer();
  server.listen(to.port, host);
  try {
    await once(server, 'listening');
    server.close();
    return true;
  } catch {
    return false;
  }
}

/** Whether a dial that does not look is connected. */
async function meetsItself(): Promise<boolean> {
  const socket = net.connect({ ...to, autoSelectFamily: false });
  return new Promise((resolve) => {
    socket.on('connect', () => {
      socket.resetAndDestroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

let metItself = 0;
for (let i = 0; i < DIALS; i++) if (await meetsItself()) metItself++;

// At ports that the kernel does not give out here.
const { handle } = bindSocket(host, LISTENING);
await engine.listen(handle, 1);
const client = net.connect({ host, port: LISTENING, localPort: LISTENING + 1, autoSelectFamily: false });
client.on('error', () => {});
await over;
const free = await listens();
const answer: SelfDials = { metItself, outcomes, free };
process.stdout.write(JSON.stringify(answer), () => process.exit());

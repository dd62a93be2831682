// Runs in: primary
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { EdgeError } from '../../../errors.ts';
import { descriptorOf, type ListeningSocket } from '../../../ipc/listening-socket.ts';
import { type Addresses, bindAddresses, type Conflict, conflictError, unavailable } from './find-conflicts.ts';

const LISTENER_PROCESS = fileURLToPath(new URL('../../../../workers/listen.ts', import.meta.url));

/** Clients that the kernel queues for a listening socket; it takes the smaller of this and `net.core.somaxconn`. */
const BACKLOG = 4096;

/** Far beyond what it takes to start Node.js on a busy machine. In ms. */
const PATIENCE_MS = 30_000;

/**
 * Takes every listener's address, and makes sure of the admin server's: from now on clients queue there, nobody accepts
 * until a worker does, and no other process can listen. The queue lives for as long as the primary holds the socket, so
 * clients wait, and are not refused, while workers die and come back.
 *
 * To bind is not enough: Linux lets several processes bind overlapping addresses, and refuses all but the first that
 * listens. To listen in here would be too much: libuv accepts at once, and there is no way to tell it not to. But listening
 * is a state of the socket, which all processes share that have it; so one that lives for a moment does it, and takes
 * libuv's interest with it when it ends. It takes some 50 ms, and works without the native engine and on every platform.
 * @throws EDGE_ERR_LISTEN, or EDGE_ERR_ADMIN_LISTEN, naming every address that cannot be had, why, and who has it
 * @throws EDGE_ERR_PLATFORM when this Node.js lacks what it takes
 */
export function claimAddresses(addresses: Addresses): ListeningSocket[] {
  const { sockets, conflicts } = bindAddresses(addresses);
  try {
    if (conflicts.length === 0) conflicts.push(...listenOn(sockets));
    if (conflicts.length > 0) throw conflictError(conflicts);
    return sockets;
  } catch (error) {
    for (const { handle } of sockets) handle.close();
    throw error;
  }
}

function listenOn(sockets: readonly ListeningSocket[]): Conflict[] {
  const results = listenElsewhere(sockets.map(({ handle }) => descriptorOf(handle)));
  return sockets.flatMap(({ listener }, i) => {
    const errno = results[i] ?? 0;
    return errno === 0 ? [] : [unavailable('listener', listener, getSystemErrorName(-errno))];
  });
}

/** An errno for each, or 0. */
function listenElsewhere(descriptors: readonly number[]): readonly number[] {
  const args = [LISTENER_PROCESS, String(descriptors.length), String(BACKLOG)];
  const child = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
    env: plainEnvironment(),
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  if (child.status === 0) return JSON.parse(child.stdout) as number[];
  const why = child.error?.message ?? (child.stderr.trim() || `it ended by ${child.signal ?? child.status}`);
  throw new EdgeError('EDGE_ERR_LISTEN', `cannot start the process that makes sockets listen: ${why}`);
}

/** Nothing that is ours, such as a token; and what an operator asks of this process, an inspector, is not about that one. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('EDGEPROXY_'));
  return { ...Object.fromEntries(others), NODE_OPTIONS: '' };
}

// Runs in: primary, cli
import { availableParallelism } from 'node:os';
import { MAX_WORKERS } from '../../domain/worker-count.ts';
import { integer, parseInteger, seconds, variable } from '../../variable.ts';

const WEEK_SECS = 7 * 24 * 3600;

export const WORKERS_VARIABLES = {
  EDGEPROXY_WORKERS: variable(
    'workers',
    'auto',
    `\`auto\` (one a core) or a whole number from 1 to ${MAX_WORKERS}`,
    'number of workers',
    (text) => (text === 'auto' ? availableParallelism() : parseInteger(text, 1, MAX_WORKERS)),
  ),
  EDGEPROXY_ENGINE: variable(
    'engine',
    'auto',
    '`auto` (`epoll` where it is built), `stream` or `epoll`',
    'the data plane engine',
    (text) => (text === 'auto' || text === 'stream' || text === 'epoll' ? text : undefined),
  ),
  EDGEPROXY_CONNECT_TIMEOUT_MS: integer('connectTimeoutMs', '5000', 1, 600_000, 'time for one dial of one backend'),
  EDGEPROXY_CONNECT_ATTEMPTS: integer('connectAttempts', '3', 1, 16, 'dials for one client'),
  EDGEPROXY_IDLE_TIMEOUT_SECS: seconds(
    'idleTimeoutMs',
    '3600',
    0,
    WEEK_SECS,
    'no byte came from or was acknowledged by either side; 0 = off',
  ),
  EDGEPROXY_HALF_CLOSE_TIMEOUT_SECS: seconds(
    'halfCloseTimeoutMs',
    '60',
    0,
    WEEK_SECS,
    'the same, once one side is done; 0 = off',
  ),
  // What TCP_USER_TIMEOUT is for, which the kernel holds against readers that only pause, too: since Linux 5.11 it also ends
  // a peer that answers every probe of its closed window. 30 s outlast what networks mend by themselves, and the kernel's
  // own patience (net.ipv4.tcp_retries2) is a quarter of an hour.
  EDGEPROXY_UNACKED_TIMEOUT_SECS: seconds(
    'unackedTimeoutMs',
    '30',
    0,
    WEEK_SECS,
    'a peer that is sent to and answers nothing has vanished; 0 = off',
  ),
  EDGEPROXY_HEARTBEAT_TIMEOUT_SECS: seconds(
    'heartbeatTimeoutMs',
    '5',
    1,
    300,
    'a worker that is silent for so long is killed and replaced; a pick that takes so long is given up',
  ),
};

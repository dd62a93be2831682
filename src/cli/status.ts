// Runs in: cli
import type { Command } from 'commander';
import type { Status } from '../application/view-status.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { show } from './output.ts';
import { describeStatus } from './status-text.ts';
import { addWatchOptions, type Picture, type WatchOptions, watch } from './watch.ts';

interface StatusOptions extends AdminOptions, WatchOptions {}

/** A proxy that cannot answer within this is told as such. In ms. */
export const STATUS_TIMEOUT_MS = 5_000;
/** Backends that are asked for: what one screen may hold. */
const BUSIEST = 50;

export function addStatus(program: Command): void {
  const command = program
    .command('status')
    .description('show on one screen how the running proxy stands: readiness, clients, workers, backends, settings')
    .action(status);
  addWatchOptions(command);
  addAdminOptions(command).addHelpText(
    'after',
    `
${ADMIN_NOTE}

Backends are the busiest ones, as many as fit. Exits with 0 when the proxy
answers, ready or not; a load balancer's question is GET /readyz.

Example:
  edgeproxy status --watch`,
  );
}

async function status(options: StatusOptions): Promise<void> {
  const client = adminClient(options);
  const take = async (signal?: AbortSignal): Promise<Picture> => {
    const value = await askStatus(client, BUSIEST, signal);
    return { value, blocks: () => describeStatus(value, (process.stdout.rows ?? 24) - (options.watch ? 3 : 2)) };
  };
  if (options.watch) return watch(options, take);
  const { value, blocks } = await take();
  show(options.json ?? false, value, blocks);
}

export async function askStatus(client: AdminClient, busiest: number, signal?: AbortSignal): Promise<Status> {
  const timeout = AbortSignal.timeout(STATUS_TIMEOUT_MS);
  const answer = await client.ask({
    method: 'GET',
    path: `/api/v1/status?busiest=${busiest}`,
    signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
  });
  if (!isStatus(answer)) throw client.misunderstood();
  return answer;
}

/** Told from other programs' answers, and other releases', by its parts; their insides are our own API's. */
function isStatus(answer: unknown): answer is Status {
  return (
    isObject(answer) &&
    ['readiness', 'workers', 'routing', 'backends', 'connections', 'configuration', 'bindings', 'geoip'].every((part) =>
      isObject(answer[part]),
    ) &&
    Array.isArray(answer.listeners)
  );
}

// Runs in: cli
import type { Command } from 'commander';
import type { WorkerView } from '../application/supervise-workers.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { show } from './output.ts';

export function addWorkersList(group: Command): void {
  const command = group
    .command('list')
    .description('show the workers, their state and the connections that each holds')
    .action(list);
  addAdminOptions(command).addHelpText(
    'after',
    `\n${ADMIN_NOTE}\nState: starting, serving, or draining (it accepts no more).`,
  );
}

export async function askWorkers(client: AdminClient): Promise<readonly WorkerView[]> {
  const answer = await client.ask({ method: 'GET', path: '/api/v1/workers' });
  const workers = isObject(answer) ? answer.workers : undefined;
  if (!Array.isArray(workers) || !workers.every(isWorker)) throw client.misunderstood();
  return workers;
}

async function list(options: AdminOptions): Promise<void> {
  const workers = await askWorkers(adminClient(options));
  show(options.json ?? false, { workers }, () => {
    if (workers.length === 0) return ['no workers are running: the log of the proxy says why'];
    return [
      {
        head: ['PID', 'INCARNATION', 'STATE', 'CONNECTIONS'],
        rows: workers.map(({ pid, incarnation, state, connections }) => [pid, incarnation, state, connections]),
      },
    ];
  });
}

function isWorker(value: unknown): value is WorkerView {
  return (
    isObject(value) &&
    [value.pid, value.incarnation, value.connections].every((number) => typeof number === 'number') &&
    typeof value.state === 'string'
  );
}

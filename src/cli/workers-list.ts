// Runs in: cli
import type { Command } from 'commander';
import type { DrainView, WorkerView } from '../application/supervise-workers.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { duration } from './explain-text.ts';
import { show } from './output.ts';

export function addWorkersList(group: Command): void {
  const command = group
    .command('list')
    .description('show the workers, their state and the connections that each holds')
    .action(list);
  addAdminOptions(command).addHelpText(
    'after',
    `\n${ADMIN_NOTE}\nState: starting, serving, or draining: it accepts no more, and resets what is\nopen when its time is over.`,
  );
}

export interface CrewView extends DrainView {
  readonly workers: readonly WorkerView[];
}

export async function askCrew(client: AdminClient): Promise<CrewView> {
  const answer = await client.ask({ method: 'GET', path: '/api/v1/workers' });
  if (!isObject(answer)) throw client.misunderstood();
  const { workers, drainMs, reset } = answer;
  if (!Array.isArray(workers) || !workers.every(isWorker) || typeof drainMs !== 'number' || typeof reset !== 'number')
    throw client.misunderstood();
  return { workers, drainMs, reset };
}

async function list(options: AdminOptions): Promise<void> {
  const crew = await askCrew(adminClient(options));
  const { workers } = crew;
  show(options.json ?? false, crew, () => {
    if (workers.length === 0) return ['no workers are running: the log of the proxy says why'];
    return [
      {
        head: ['PID', 'INCARNATION', 'STATE', 'CONNECTIONS'],
        rows: workers.map((worker) => [worker.pid, worker.incarnation, stateText(worker), worker.connections]),
      },
    ];
  });
}

function stateText({ state, connections, resetInMs }: WorkerView): string {
  return resetInMs === null || connections === 0 ? state : `${state}, ${duration(resetInMs)} left`;
}

function isWorker(value: unknown): value is WorkerView {
  return (
    isObject(value) &&
    [value.pid, value.incarnation, value.connections].every((number) => typeof number === 'number') &&
    typeof value.state === 'string' &&
    (value.resetInMs === null || typeof value.resetInMs === 'number')
  );
}

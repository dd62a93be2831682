// Runs in: cli
import type { Command } from 'commander';
import { MAX_WORKERS } from '../domain/worker-count.ts';
import { isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { wholeNumberIn } from './arguments.ts';
import { count, show } from './output.ts';

export function addWorkersScale(group: Command): void {
  const command = group
    .command('scale')
    .argument('<count>', `how many workers there shall be, 1 to ${MAX_WORKERS}`, wholeNumberIn(1, MAX_WORKERS))
    .description('set the number of workers: missing ones start, surplus ones drain, the least busy first')
    .action(scale);
  addAdminOptions(command).addHelpText(
    'after',
    `\n${ADMIN_NOTE}\nAfter a restart of the proxy EDGEPROXY_WORKERS decides again.`,
  );
}

async function scale(wanted: number, options: AdminOptions): Promise<void> {
  const client = adminClient(options);
  const answer = await client.ask({ method: 'POST', path: '/api/v1/workers/scale', body: { count: wanted } });
  if (!isObject(answer) || typeof answer.count !== 'number') throw client.misunderstood();
  const scaled = answer.count;
  show(options.json ?? false, { count: scaled }, () => [
    `the proxy now keeps ${count(scaled, 'worker')}: "workers list" shows them start or drain`,
    'after a restart EDGEPROXY_WORKERS decides again',
  ]);
}

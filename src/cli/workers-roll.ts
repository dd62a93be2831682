// Runs in: cli
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { WorkerView } from '../application/supervise-workers.ts';
import { EdgeError } from '../errors.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { count, remark, show } from './output.ts';
import { describeChanges } from './roll-progress.ts';
import { askWorkers } from './workers-list.ts';

/** How often the workers are looked at for the progress, in ms. */
const LOOK_EVERY_MS = 250;
/** The proxy gives a successor 30 s to accept: when no worker changed for so long, in ms, it is not rolling. */
const STALL_MS = 60_000;

export function addWorkersRoll(group: Command): void {
  const command = group
    .command('roll')
    .summary('replace every worker, one at a time, without refusing a client')
    .description(
      'Replace every worker, one at a time: each successor accepts before its predecessor drains, so that no client is ' +
        'refused. Returns when the last one is replaced.',
    )
    .action(roll);
  addAdminOptions(command).addHelpText(
    'after',
    `
${ADMIN_NOTE}

Progress is on stderr. Replaced workers drain on until their connections end, at
most EDGEPROXY_SHUTDOWN_TIMEOUT_SECS. The new workers load the code anew; the
primary keeps its own, and a changed environment takes a restart.`,
  );
}

async function roll(options: AdminOptions): Promise<void> {
  const json = options.json ?? false;
  const client = adminClient(options);
  const say = json ? () => {} : remark;
  const before = await askWorkers(client);
  say(`rolling ${count(before.filter(({ state }) => state !== 'draining').length, 'worker')}, one at a time`);
  const replaced = await watchRoll(client, before, say);
  show(json, { replaced }, () => [`replaced ${count(replaced, 'worker')}`]);
}

/** Starts the roll and tells of each change until it is over. Gives how many workers were replaced. */
async function watchRoll(
  client: AdminClient,
  before: readonly WorkerView[],
  say: (line: string) => void,
): Promise<number> {
  const stalled = new AbortController();
  let known = before;
  let changedAt = performance.now();
  const look = async (): Promise<void> => {
    // The roll's own request tells when the proxy is gone.
    const workers = await askWorkers(client).catch(() => known);
    const changes = describeChanges(known, workers);
    known = workers;
    if (changes.length > 0) changedAt = performance.now();
    for (const change of changes) say(`  ${change}`);
  };

  const rolling = client.ask({ method: 'POST', path: '/api/v1/workers/roll', signal: stalled.signal });
  const over = rolling.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([over, delay(LOOK_EVERY_MS, false)]))) {
    await look();
    if (performance.now() - changedAt > STALL_MS) stalled.abort(stallError(client));
  }
  const answer = await rolling.catch((error: unknown) => {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  });
  await look();
  if (!isObject(answer) || typeof answer.replaced !== 'number') throw client.misunderstood();
  return answer.replaced;
}

function stallError(client: AdminClient): EdgeError {
  const message = `the proxy at ${client.name} got no further with the roll for ${STALL_MS / 1000} s: its log says more`;
  return new EdgeError('EDGE_ERR_ADMIN_UNREACHABLE', message);
}

// Runs in: cli
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { RollResult } from '../application/supervise-workers.ts';
import { EdgeError } from '../errors.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { count, remark, show } from './output.ts';
import { describeChanges, describeRoll, describeStart } from './roll-progress.ts';
import { askCrew, type CrewView } from './workers-list.ts';

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
    .option('--wait', 'return when the replaced workers are gone, and say how many connections had to be reset')
    .action(roll);
  addAdminOptions(command).addHelpText(
    'after',
    `
${ADMIN_NOTE}

Progress is on stderr. Replaced workers drain on until their connections end, at
most EDGEPROXY_SHUTDOWN_TIMEOUT_SECS; what is open then is reset. The new
workers load the code anew; the primary keeps its own, and a changed environment
takes a restart.`,
  );
}

interface RollOptions extends AdminOptions {
  readonly wait?: boolean;
}

async function roll(options: RollOptions): Promise<void> {
  const json = options.json ?? false;
  const client = adminClient(options);
  const say = json ? () => {} : remark;
  const before = await askCrew(client);
  const rolled = await watchRoll(client, before, say);
  if (options.wait !== true || rolled.stopping) {
    show(json, rolled, () => [describeRoll(rolled)]);
    return;
  }
  say(describeRoll(rolled));
  const reset = await watchDrains(client, before, rolled.resetInMs, say);
  show(json, { ...rolled, reset }, () => [
    `replaced ${count(rolled.replaced, 'worker')}; ` +
      (reset === 0 ? 'their connections ended by themselves' : `${count(reset, 'connection')} had to be reset`),
  ]);
}

/** Until the workers that were there `before` are gone. Gives how many connections drains have reset meanwhile. */
async function watchDrains(
  client: AdminClient,
  before: CrewView,
  resetInMs: number,
  say: (line: string) => void,
): Promise<number> {
  const old = new Set(before.workers.map(({ incarnation }) => incarnation));
  const end = performance.now() + resetInMs + STALL_MS;
  let known = await askCrew(client);
  while (known.workers.some(({ incarnation }) => old.has(incarnation))) {
    if (performance.now() > end) throw stallError(client);
    await delay(LOOK_EVERY_MS);
    const crew = await askCrew(client);
    for (const change of describeChanges(known.workers, crew.workers)) say(`  ${change}`);
    known = crew;
  }
  return known.reset - before.reset;
}

/** Starts the roll and tells of each change until it is over. */
async function watchRoll(client: AdminClient, before: CrewView, say: (line: string) => void): Promise<RollResult> {
  const stalled = new AbortController();
  let unsaid: readonly string[] = describeStart(before);
  let known = before.workers;
  let changedAt = performance.now();
  const look = async (): Promise<void> => {
    // Not before: a roll that is refused, since another one is under way, is refused at once.
    for (const line of unsaid) say(line);
    unsaid = [];
    // The roll's own request tells when the proxy is gone.
    const { workers } = await askCrew(client).catch(() => ({ workers: known }));
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
  if (!isRollResult(answer)) throw client.misunderstood();
  return answer;
}

function stallError(client: AdminClient): EdgeError {
  const message = `the proxy at ${client.name} got no further with the roll for ${STALL_MS / 1000} s: its log says more`;
  return new EdgeError('EDGE_ERR_ADMIN_UNREACHABLE', message);
}

function isRollResult(value: unknown): value is RollResult {
  return (
    isObject(value) &&
    [value.replaced, value.draining, value.resetInMs].every((number) => typeof number === 'number') &&
    typeof value.stopping === 'boolean'
  );
}

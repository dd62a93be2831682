// Runs in: cli
import type { RollResult, WorkerView } from '../application/supervise-workers.ts';
import { duration } from './explain-text.ts';
import { count } from './output.ts';
import type { CrewView } from './workers-list.ts';

/** What is about to happen, and to whom. */
export function describeStart({ workers, drainMs }: CrewView): string[] {
  const active = workers.filter(({ state }) => state !== 'draining');
  const open = active.reduce((sum, { connections }) => sum + connections, 0);
  const rolling = `rolling ${count(active.length, 'worker')}, one at a time`;
  if (open === 0) return [rolling];
  return [
    rolling,
    `${count(open, 'connection')} open: what still is ${duration(drainMs)} after its worker was replaced is reset`,
  ];
}

/** What came of it so far. */
export function describeRoll({ replaced, draining, resetInMs, stopping }: RollResult): string {
  const open =
    draining === 0
      ? ''
      : `; ${count(draining, 'connection')} of theirs may end by themselves for ${duration(resetInMs)} more, and are reset then`;
  const end = stopping ? '; the proxy is stopping: the others were not replaced' : '';
  return `replaced ${count(replaced, 'worker')}${open}${end}`;
}

/** What happened between two lists of workers, one line each. */
export function describeChanges(before: readonly WorkerView[], after: readonly WorkerView[]): string[] {
  const known = new Map(before.map((worker) => [worker.incarnation, worker]));
  const present = new Set(after.map((worker) => worker.incarnation));
  const moved = after
    .filter((worker) => known.get(worker.incarnation)?.state !== worker.state)
    .map((worker) => `${nameOf(worker)} ${stateText(worker)}`);
  const gone = before
    .filter(({ incarnation }) => !present.has(incarnation))
    .map((worker) => `${nameOf(worker)} has ended`);
  return [...moved, ...gone];
}

function nameOf({ pid, incarnation }: WorkerView): string {
  return `worker ${pid} (incarnation ${incarnation})`;
}

function stateText({ state, connections }: WorkerView): string {
  if (state === 'starting') return 'starts';
  return state === 'serving' ? 'accepts connections' : `drains ${count(connections, 'connection')}`;
}

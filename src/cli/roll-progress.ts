// Runs in: cli
import type { WorkerView } from '../application/supervise-workers.ts';
import { count } from './output.ts';

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

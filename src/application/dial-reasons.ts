// Runs in: primary
import { LACKS, TURNED_AWAY } from '../domain/blame.ts';
import type { Backend, Listener } from '../domain/entities.ts';
import type { DialOutcomes, FailingRun } from './dial-outcomes.ts';
import { type Reasons, seconds } from './modules.ts';
import type { RoutingState } from './routing-state.ts';

/** Backends that are named one by one. */
const MAX_NAMED = 5;

/** What the dials of the traffic say. A listener whose clients nobody can serve is missing when no other one serves. */
export function dialReasons(
  dials: DialOutcomes,
  routing: RoutingState,
  listeners: readonly Listener[],
  now: number,
): Reasons {
  const down = listeners.flatMap(({ name, app }) => {
    const run = dials.down(name, now);
    if (run === null || !routing.index.hasServing(app)) return [];
    return [`listener ${name} reaches no backend: ${howLong(run, now)}`];
  });
  const served = listeners.filter(({ app }) => routing.index.hasServing(app)).length;
  const failing = dials.failing(now).filter(([id]) => isServing(routing.table.find(id)));
  const backends = failing
    .slice(-MAX_NAMED)
    .map(([id, run]) => `backend ${id} cannot be reached: ${howLong(run, now)}`);
  if (failing.length > MAX_NAMED) backends.push(`nor can ${failing.length - MAX_NAMED} more backends`);
  const lacks = dials.lacks(now).map(([lack, run]) => {
    return `this host cannot dial (${run.code}, ${run.count} times, last ${seconds(now - run.last)} s ago): ${LACKS[lack].advice}`;
  });
  for (const [reason, run] of dials.turnedAway(now)) {
    lacks.push(
      `clients are turned away (${reason}, ${run.count} times, last ${seconds(now - run.last)} s ago): ${TURNED_AWAY[reason]}`,
    );
  }
  const isDown = down.length > 0 && down.length === served;
  return { missing: isDown ? down : [], notes: [...(isDown ? [] : down), ...lacks, ...backends] };
}

function howLong({ since, last, count, code }: FailingRun, now: number): string {
  return `the last ${count} dials failed, over ${seconds(last - since)} s, the last one ${seconds(now - last)} s ago with ${code}`;
}

function isServing(backend: Backend | undefined): boolean {
  return backend?.healthy === true && !backend.deleted;
}

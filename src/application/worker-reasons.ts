// Runs in: primary
import { type Reasons, seconds } from './modules.ts';
import type { SilentWorker } from './pick-desk.ts';
import type { SupervisorHealth } from './worker-views.ts';

/** Crashes in a row from which on it is a loop, and said. */
const LOOP_CRASHES = 2;

/** What the workers say. `silent`: those that are heard of later than usual. */
export function workerReasons(health: SupervisorHealth, silent: readonly SilentWorker[]): Reasons {
  const { serving, crashes, lastCrash, restartInMs, isOtherOnDisk } = health;
  const notes: string[] = [];
  if (crashes >= LOOP_CRASHES)
    notes.push(`workers crash: ${crashes} in a row, last by ${lastCrash}; next start in ${restartInMs} ms`);
  if (isOtherOnDisk)
    notes.push('the code on disk is of another release than the workers run: roll them to take it up, or restart');
  for (const { incarnation, silentMs } of silent)
    notes.push(`worker ${incarnation} has said nothing for ${seconds(silentMs)} s`);
  return { missing: serving === 0 ? ['no worker accepts connections'] : [], notes };
}

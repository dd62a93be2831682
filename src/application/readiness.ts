// Runs in: primary
import type { Listener } from '../domain/entities.ts';
import type { RoutingHealth } from './reload-routing.ts';
import type { RoutingState } from './routing-state.ts';
import type { SupervisorHealth } from './supervise-workers.ts';

export interface Readiness {
  /** It can serve: a table, a backend for some listener, a worker; and it is not stopping. */
  readonly ready: boolean;
  /** What is missing, or worth a look although it serves. */
  readonly reasons: readonly string[];
  readonly routing: RoutingHealth;
  readonly workers: SupervisorHealth;
}

/** Crashes in a row from which on it is a loop, and said. */
const LOOP_CRASHES = 2;

export function readiness(
  routing: RoutingState,
  listeners: readonly Listener[],
  health: RoutingHealth,
  workers: SupervisorHealth,
  stopping: boolean,
): Readiness {
  const missing: string[] = [];
  if (stopping) missing.push('the proxy is stopping');
  if (routing.table.version === 0) missing.push('no routing table was loaded yet');
  else if (!listeners.some(({ app }) => routing.table.hasServing(app)))
    missing.push('no backend is up: add or enable one');
  if (workers.serving === 0) missing.push('no worker accepts connections');

  const notes: string[] = [];
  if (health.error !== '') notes.push(`the routing database is not loaded: ${health.error}`);
  if (health.badRows > 0) notes.push(`${health.badRows} routing rows are skipped; the log names them`);
  if (workers.crashes >= LOOP_CRASHES) {
    notes.push(
      `workers crash: ${workers.crashes} in a row, last by ${workers.lastCrash}; next start in ${workers.restartInMs} ms`,
    );
  }
  if (workers.isOtherOnDisk)
    notes.push('the code on disk is of another release than the workers run: roll them to take it up, or restart');
  if (missing.length === 0) {
    for (const { name, app } of listeners) {
      if (!routing.table.hasServing(app))
        notes.push(`listener ${name} refuses its clients: no backend of app ${app} is up`);
    }
  }
  return { ready: missing.length === 0, reasons: [...missing, ...notes], routing: health, workers };
}

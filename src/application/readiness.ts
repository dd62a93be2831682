// Runs in: primary
import type { Modules } from './modules.ts';
import type { RoutingHealth } from './reload-routing.ts';
import type { SupervisorHealth } from './supervise-workers.ts';

export interface Readiness {
  /** It can serve: a table, a backend for some listener that dials reach, a worker; and it is not stopping. */
  readonly ready: boolean;
  /** What is missing, or worth a look although it serves. */
  readonly reasons: readonly string[];
  readonly routing: RoutingHealth;
  readonly workers: SupervisorHealth;
}

/** What readiness is judged by. */
export interface ReadinessSources {
  readonly modules: Pick<Modules, 'reasons'>;
  readonly stopping: boolean;
  readonly routing: RoutingHealth;
  readonly workers: SupervisorHealth;
}

/** What the modules say, in their order: what is missing before what is merely worth a look. */
export function readiness({ modules, stopping, routing, workers }: ReadinessSources): Readiness {
  const { missing, notes } = modules.reasons();
  const lacks = stopping ? ['the proxy is stopping', ...missing] : missing;
  return { ready: lacks.length === 0, reasons: [...lacks, ...notes], routing, workers };
}

// Runs in: primary
import type { Listener } from '../domain/entities.ts';
import type { Reasons } from './modules.ts';
import type { RoutingHealth } from './reload-routing.ts';
import type { RoutingState } from './routing-state.ts';

/** What the routing table and its database say. */
export function routingReasons(routing: RoutingState, listeners: readonly Listener[], health: RoutingHealth): Reasons {
  const notes: string[] = [];
  if (health.error !== '') notes.push(`the routing database is not loaded: ${health.error}`);
  if (health.badRows > 0) notes.push(`${health.badRows} routing rows are skipped; the log names them`);
  if (routing.table.version === 0) return { missing: ['no routing table was loaded yet'], notes };
  const idle = listeners.filter(({ app }) => !routing.index.hasServing(app));
  if (idle.length === listeners.length) return { missing: ['no backend is enabled: add or enable one'], notes };
  for (const { name, app } of idle)
    notes.push(`listener ${name} refuses its clients: no backend of app ${app} is enabled`);
  return { missing: [], notes };
}

// Runs in: primary
import { LACKS, TURNED_AWAY } from '../domain/blame.ts';
import type { Backend, Listener } from '../domain/entities.ts';
import type { DialOutcomes, FailingRun } from './dial-outcomes.ts';
import type { SilentWorker } from './pick-desk.ts';
import type { RoutingHealth } from './reload-routing.ts';
import type { RoutingState } from './routing-state.ts';
import type { SupervisorHealth } from './supervise-workers.ts';

export interface Readiness {
  /** It can serve: a table, a backend for some listener that dials reach, a worker; and it is not stopping. */
  readonly ready: boolean;
  /** What is missing, or worth a look although it serves. */
  readonly reasons: readonly string[];
  readonly routing: RoutingHealth;
  readonly workers: SupervisorHealth;
}

/** Crashes in a row from which on it is a loop, and said. */
const LOOP_CRASHES = 2;
/** Backends that are named one by one. */
const MAX_NAMED = 5;

/** What readiness is judged by. */
export interface ReadinessSources {
  readonly routing: RoutingState;
  readonly listeners: readonly Listener[];
  readonly health: RoutingHealth;
  readonly workers: SupervisorHealth;
  readonly stopping: boolean;
  readonly dials: DialOutcomes;
  /** Why the GeoIP database is not the one of its file; `''`: it is. */
  readonly geoip: string;
  /** Lines that the log could not take, when some were of late; else 0. */
  readonly lostLines: number;
  /** Workers that are heard of later than usual. */
  readonly silent: readonly SilentWorker[];
  readonly now: number;
}

export function readiness(sources: ReadinessSources): Readiness {
  const { routing, listeners, health, workers, stopping, geoip, silent, lostLines } = sources;
  const missing: string[] = [];
  if (stopping) missing.push('the proxy is stopping');
  if (routing.table.version === 0) missing.push('no routing table was loaded yet');
  else if (!listeners.some(({ app }) => routing.table.hasServing(app)))
    missing.push('no backend is enabled: add or enable one');
  if (workers.serving === 0) missing.push('no worker accepts connections');
  const { missing: unreached, notes: dials } = dialReasons(sources);
  missing.push(...unreached);

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
  if (geoip !== '') notes.push(`the GeoIP database of before serves on: ${geoip}`);
  for (const { incarnation, silentMs } of silent)
    notes.push(`worker ${incarnation} has said nothing for ${seconds(silentMs)} s`);
  if (lostLines > 0)
    notes.push(
      `the log is full, or its reader stalls: ${lostLines} lines were lost since the start, the last one of late`,
    );
  notes.push(...dials);
  if (missing.length === 0) {
    for (const { name, app } of listeners) {
      if (!routing.table.hasServing(app))
        notes.push(`listener ${name} refuses its clients: no backend of app ${app} is enabled`);
    }
  }
  return { ready: missing.length === 0, reasons: [...missing, ...notes], routing: health, workers };
}

/** What the dials of the traffic say. A listener whose clients nobody can serve is missing when no other one serves. */
function dialReasons({ listeners, routing, dials, now }: ReadinessSources): { missing: string[]; notes: string[] } {
  const down = listeners.flatMap(({ name, app }) => {
    const run = dials.down(name, now);
    if (run === null || !routing.table.hasServing(app)) return [];
    return [`listener ${name} reaches no backend: ${howLong(run, now)}`];
  });
  const served = listeners.filter(({ app }) => routing.table.hasServing(app)).length;
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

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

// Runs in: cli
import type { Status } from '../application/view-status.ts';
import { placeOf } from './backend-text.ts';
import { duration } from './explain-text.ts';
import { type Block, count, screenWidth } from './output.ts';
import { fold, NOTHING, type Table } from './table.ts';

/** Where what is said of a topic begins. */
const INDENT = 11;
/** Of a list that would fill the screen by itself. */
const MOST_REASONS = 5;
const MOST_WORKERS = 12;
/** A table of backends is not cut below this. */
const LEAST_ROWS = 3;

/** How a proxy stands, in about `height` lines: what an operator asks first comes first. */
export function describeStatus(status: Status, height: number): readonly Block[] {
  const above = [
    ...topic(status.readiness.ready ? 'ready' : 'NOT READY', headline(status)),
    ...reasons(status),
    ...topic('clients', clients(status)),
    ...topic('routing', routing(status)),
    ...topic('workers', workers(status)),
    ...topic('listeners', listeners(status)),
    ...topic('bindings', bindings(status)),
    ...topic('set', settings(status)),
    ...topic('backends', backends(status)),
  ];
  if (status.backends.busiest.length === 0) return above;
  const shown = status.backends.busiest.slice(0, Math.max(LEAST_ROWS, height - above.length - 1));
  return [...above, busiestTable(shown)];
}

function topic(name: string, text: string): string[] {
  const lines = fold(text, screenWidth() - INDENT);
  return lines.map((line, i) => `${(i === 0 ? name : '').padEnd(INDENT)}${line}`);
}

function headline({ version, pid, uptimeMs, region, engine, node }: Status): string {
  return `edgeProxy ${version}, pid ${pid}, up ${duration(uptimeMs)}, region ${region}, engine ${engine}, Node ${node}`;
}

function reasons({ readiness: { reasons } }: Status): string[] {
  const more = reasons.length - MOST_REASONS;
  const lines = reasons.slice(0, MOST_REASONS).flatMap((reason) => topic('', `! ${reason}`));
  return more > 0 ? [...lines, ...topic('', `! and ${more} more: --json shows them`)] : lines;
}

function clients({ connections: { active, accepted, refused } }: Status): string {
  const told = Object.entries(refused).filter(([, number]) => number > 0);
  const total = told.reduce((sum, [, number]) => sum + number, 0);
  const why = told.sort((a, b) => b[1] - a[1]).map(([reason, number]) => `${reason} ${number}`);
  return `${count(active, 'slot')} held, ${accepted} came since the start, ${total} refused${total > 0 ? `: ${why.join(', ')}` : ''}`;
}

function routing({ routing }: Status): string {
  const { version, backends, badRows, servesForMs, lookedMsAgo, error, path } = routing;
  const age = servesForMs === null ? 'not loaded yet' : `${duration(servesForMs)} old`;
  const looked = lookedMsAgo === null ? '' : `, looked at ${duration(lookedMsAgo)} ago`;
  const skipped = badRows > 0 ? `, ${count(badRows, 'row')} skipped` : '';
  const stale = error === '' ? '' : ', STALE';
  return `table ${version}, ${age}${looked}${stale}; ${count(backends, 'backend')}${skipped}; ${path}`;
}

function workers({ workers }: Status): string {
  const { desired, serving, starting, draining, crashes, list } = workers;
  const more = list.length - MOST_WORKERS;
  const each = list
    .slice(0, MOST_WORKERS)
    .map(({ pid, state, connections }) => `${pid} ${state === 'serving' ? '' : `${state} `}${connections}`);
  const parts = [
    `${serving} of ${desired} serve`,
    ...(starting > 0 ? [`${starting} start`] : []),
    ...(draining > 0 ? [`${draining} drain`] : []),
    ...(crashes > 0 ? [`crashes in a row: ${crashes}`] : []),
  ];
  const held =
    each.length === 0 ? '' : `; pid and connections: ${each.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
  return `${parts.join(', ')}${held}`;
}

function listeners({ listeners, admin }: Status): string {
  return `${listeners.map(({ name, app }) => (app === '' ? name : `${name}=${app}`)).join(', ')}; admin ${admin}`;
}

function bindings({ bindings: { count: held, max, evicted, ttlMs }, geoip }: Status): string {
  const lost = evicted > 0 ? `, ${evicted} evicted` : '';
  const age = geoip.ageSeconds === null ? '' : `, ${duration(geoip.ageSeconds * 1000)} old`;
  return `${held} of ${max}${lost}, kept ${duration(ttlMs)}; GeoIP ${geoip.bundled ? 'bundled' : geoip.path}${age}`;
}

/** What differs from a proxy that nobody configured. */
function settings({ configuration }: Status): string {
  const set = Object.entries(configuration).filter(([, { source }]) => source === 'environment');
  if (set.length === 0) return 'nothing: every variable has its default';
  return set.map(([name, { value }]) => `${name}=${value}`).join(' ');
}

function backends({ backends: { total, states } }: Status): string {
  const told = Object.entries(states).filter(([, number]) => number > 0);
  return `${total}${total > 0 ? `: ${told.map(([state, number]) => `${number} ${state}`).join(', ')}` : ''}`;
}

function busiestTable(shown: Status['backends']['busiest']): Table {
  return {
    head: ['BACKEND', 'PLACE', 'CONNS', 'SOFT', 'HARD', 'WEIGHT', 'STATE'],
    rows: shown.map((view) => {
      const { id, connections, state } = view;
      if (!('weight' in view)) return [id, NOTHING, connections, NOTHING, NOTHING, NOTHING, state];
      return [id, placeOf(view), connections, view.soft_limit, view.hard_limit || NOTHING, view.weight, state];
    }),
    spare: ['WEIGHT'],
  };
}

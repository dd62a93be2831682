// Runs in: cli
import { realpathSync } from 'node:fs';
import type { Command } from 'commander';
import { VARIABLES } from '../config.ts';
import { isRegionCode } from '../domain/value-objects.ts';
import { EdgeError } from '../errors.ts';
import { ADMIN_FLAGS, ADMIN_TEXT } from './admin-options.ts';
import { describeBackends, storedRow } from './backend-text.ts';
import { askLiveBackends } from './live-backends.ts';
import { count, remark, show } from './output.ts';
import { addRoutingFileOptions, type RoutingFileOptions, routingFile, withEditor } from './routing-file.ts';
import { addWatchOptions, type Picture, type WatchOptions, watch } from './watch.ts';

interface ListOptions extends RoutingFileOptions, WatchOptions {
  readonly admin?: string;
  readonly app?: string;
  readonly region?: string;
}

export function addBackendsList(group: Command): void {
  const command = group
    .command('list')
    .description('show every row, with what is wrong with those that the proxy skips')
    .option('--app <name>', "only backends of this app; '' for those of none")
    .option('--region <code>', `only backends of this region: ${VARIABLES.EDGEPROXY_REGION.expected}`)
    .option(ADMIN_FLAGS, ADMIN_TEXT)
    .action(list);
  addWatchOptions(command);
  addRoutingFileOptions(command).addHelpText(
    'after',
    `
With a proxy that runs on this database: its connections and the state that it
sees: serving busy full draining unhealthy deleted. Without one, and for what it
has not loaded, what the row says: enabled; disabled (healthy is 0); draining
(weight is 0: it keeps its clients); removed (deleted is 1); INVALID. Filters
leave invalid rows out.`,
  );
}

async function list(options: ListOptions): Promise<void> {
  const { region } = options;
  if (region !== undefined && !isRegionCode(region.toLowerCase())) {
    const expected = VARIABLES.EDGEPROXY_REGION.expected;
    throw new EdgeError('EDGE_ERR_USAGE', `--region ${region.slice(0, 100)}: expected one of ${expected}`);
  }
  if (options.watch) {
    return watch(options, async (signal) => {
      const { value, blocks, note } = await take(options, signal);
      return { value, blocks: () => [...blocks(), ...(note === '' ? [] : [note])] };
    });
  }
  const { value, blocks, note } = await take(options);
  show(options.json ?? false, value, blocks);
  // No result: a list in a pipe has rows, and nothing else.
  if (note !== '' && !options.json) remark(note);
}

async function take(options: ListOptions, signal?: AbortSignal): Promise<Picture & { readonly note: string }> {
  const path = routingFile(options, process.env);
  const all = withEditor(options, (editor) => editor.list());
  const database = realpathSync(path);
  const { live, note } = await askLiveBackends(options, database, signal);
  const wanted = (backend: { readonly app: string; readonly region: string } | null) =>
    (options.app === undefined || backend?.app === options.app) &&
    (options.region === undefined || backend?.region === options.region.toLowerCase());
  const rows = all.filter(({ backend }) => wanted(backend));
  const known = new Set(all.map(({ id }) => id));
  // Of these nothing but the id is known, which no filter speaks of.
  const gone = [...(live ?? [])].filter(([id]) => !known.has(id) && wanted(null));
  const value = {
    database,
    proxy: { asked: live !== null, note },
    backends: rows.map((stored) => ({ ...storedRow(stored), ...live?.get(stored.id) })),
    gone: gone.map(([id, { connections, state }]) => ({ id, connections, state })),
  };
  return {
    value,
    note,
    blocks: () => [
      ...(all.length === 0
        ? [`no backends in ${database}: add one with "backends add"`]
        : rows.length === 0
          ? [`none of the ${count(all.length, 'row')} in ${database} matches`]
          : describeBackends(rows, live)),
      ...gone.map(
        ([id, { connections }]) => `${id} is gone from the table and holds ${count(connections, 'connection')}`,
      ),
    ],
  };
}

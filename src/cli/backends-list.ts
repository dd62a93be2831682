// Runs in: cli
import type { Command } from 'commander';
import { VARIABLES } from '../config.ts';
import { isRegionCode } from '../domain/value-objects.ts';
import { EdgeError } from '../errors.ts';
import { storedRow, storedTable } from './backend-text.ts';
import { count, show } from './output.ts';
import { addRoutingFileOptions, type RoutingFileOptions, routingFile, withEditor } from './routing-file.ts';

interface ListOptions extends RoutingFileOptions {
  readonly app?: string;
  readonly region?: string;
}

export function addBackendsList(group: Command): void {
  const command = group
    .command('list')
    .description('show every row, with what is wrong with those that the proxy skips')
    .option('--app <name>', "only backends of this app; '' for those of none")
    .option('--region <code>', `only backends of this region: ${VARIABLES.EDGEPROXY_REGION.expected}`)
    .action(list);
  addRoutingFileOptions(command).addHelpText(
    'after',
    `
Status: enabled; disabled (healthy is 0); draining (weight is 0: it keeps the clients that it has); removed (deleted
is 1); INVALID, and why. Filters leave invalid rows out. How loaded backends are, the running proxy knows: see
"edgeproxy explain".`,
  );
}

function list(options: ListOptions): void {
  const { app, region } = options;
  if (region !== undefined && !isRegionCode(region.toLowerCase())) {
    const expected = VARIABLES.EDGEPROXY_REGION.expected;
    throw new EdgeError('EDGE_ERR_USAGE', `--region ${region.slice(0, 100)}: expected one of ${expected}`);
  }
  const all = withEditor(options, (editor) => editor.list());
  const rows = all.filter(
    ({ backend }) =>
      (app === undefined || backend?.app === app) && (region === undefined || backend?.region === region.toLowerCase()),
  );
  show(options.json ?? false, { backends: rows.map(storedRow) }, () => {
    const path = routingFile(options, process.env);
    if (all.length === 0) return [`no backends in ${path}: add one with "backends add"`];
    if (rows.length === 0) return [`none of the ${count(all.length, 'row')} in ${path} matches`];
    return [storedTable(rows)];
  });
}

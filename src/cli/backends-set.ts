// Runs in: cli
import type { Command } from 'commander';
import { EdgeError } from '../errors.ts';
import { addBackendOptions, type BackendOptions, changesOf } from './backend-options.ts';
import { describeStored, storedRow } from './backend-text.ts';
import { show } from './output.ts';
import {
  addRoutingFileOptions,
  describeReload,
  explainLoop,
  type RoutingFileOptions,
  reloadSecs,
  withEditor,
} from './routing-file.ts';

interface SetOptions extends RoutingFileOptions, BackendOptions {
  readonly restore?: boolean;
}

export function addBackendsSet(group: Command): void {
  const command = group
    .command('set')
    .argument('<id>', 'the backend')
    .description('change what is given of a backend, and nothing else')
    .action(set);
  addBackendOptions(command, {}).option('--restore', 'bring a removed backend back');
  addRoutingFileOptions(command).addHelpText(
    'after',
    `
Examples:
  edgeproxy backends set sa-node-1 --weight 0          drain it: it keeps the clients that it has
  edgeproxy backends set sa-node-1 --weight 2 --hard-limit 800`,
  );
}

function set(id: string, options: SetOptions): void {
  const changes = { ...changesOf(options), ...(options.restore ? { deleted: false } : {}) };
  if (Object.keys(changes).length === 0) {
    throw new EdgeError('EDGE_ERR_USAGE', 'there is nothing to change\nsee: edgeproxy backends set --help');
  }
  const secs = reloadSecs();
  const stored = withEditor({ ...options, refuseLoops: true }, (editor) => {
    try {
      return editor.set(id, changes);
    } catch (error) {
      if (!(error instanceof EdgeError) || error.code !== 'EDGE_ERR_BACKEND_INVALID') throw error;
      throw explainLoop(error, { ...editor.get(id).backend, ...changes });
    }
  });
  show(options.json ?? false, { backend: storedRow(stored), reload_secs: secs }, () => [
    `changed ${id}: ${describeStored(stored)}`,
    describeReload(secs),
  ]);
}

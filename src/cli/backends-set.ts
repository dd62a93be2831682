// Runs in: cli
import type { Command } from 'commander';
import { EdgeError } from '../errors.ts';
import { addBackendOptions, type BackendOptions, changesOf } from './backend-options.ts';
import { describeStored, storedRow } from './backend-text.ts';
import { addEditOptions, type EditOptions, runEdit } from './edit.ts';
import { explainLoop } from './routing-file.ts';

interface SetOptions extends EditOptions, BackendOptions {
  readonly restore?: boolean;
}

export function addBackendsSet(group: Command): void {
  const command = group
    .command('set')
    .argument('<id>', 'the backend')
    .description('change what is given of a backend, and nothing else')
    .action(set);
  addBackendOptions(command, {}).option('--restore', 'bring a removed backend back');
  addEditOptions(command).addHelpText(
    'after',
    `
Examples:
  edgeproxy backends set sa-node-1 --weight 0   (drain it: it keeps its clients)
  edgeproxy backends set sa-node-1 --weight 2 --hard-limit 800`,
  );
}

async function set(id: string, options: SetOptions): Promise<void> {
  const changes = { ...changesOf(options), ...(options.restore ? { deleted: false } : {}) };
  if (Object.keys(changes).length === 0) {
    throw new EdgeError('EDGE_ERR_USAGE', 'there is nothing to change\nsee: edgeproxy backends set --help');
  }
  await runEdit(options, {
    refuseLoops: true,
    work: (editor) => {
      try {
        return editor.set(id, changes);
      } catch (error) {
        if (!(error instanceof EdgeError) || error.code !== 'EDGE_ERR_BACKEND_INVALID') throw error;
        throw explainLoop(error, { ...editor.get(id).backend, ...changes });
      }
    },
    value: (stored) => ({ backend: storedRow(stored) }),
    lines: (stored) => [`changed ${id}: ${describeStored(stored)}`],
  });
}

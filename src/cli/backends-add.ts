// Runs in: cli
import type { Command } from 'commander';
import { EdgeError } from '../errors.ts';
import { addBackendOptions, type BackendOptions, changesOf } from './backend-options.ts';
import { describeStored, storedRow } from './backend-text.ts';
import { addEditOptions, type EditOptions, runEdit } from './edit.ts';
import { explainLoop } from './routing-file.ts';

interface AddOptions extends EditOptions, BackendOptions {
  readonly unhealthy?: boolean;
}

const DEFAULTS = { weight: 1, softLimit: 100, hardLimit: 0 };

export function addBackendsAdd(group: Command): void {
  const command = group
    .command('add')
    .argument('<id>', 'a name of your choice, unique in the database')
    .description('add a backend; creates the routing database when there is none')
    .action(add);
  addBackendOptions(command, {
    app: "''",
    country: 'unknown',
    weight: String(DEFAULTS.weight),
    softLimit: String(DEFAULTS.softLimit),
    hardLimit: '0',
  }).option('--unhealthy', 'add it disabled: it gets no clients until "backends enable"');
  addEditOptions(command).addHelpText(
    'after',
    `
--region, --host and --port are needed.

Example:
  edgeproxy backends add sa-node-1 --region sa --country BR --host 10.0.0.5 \\
    --port 8080 --hard-limit 500`,
  );
}

async function add(id: string, options: AddOptions): Promise<void> {
  const { region, host, port, ...more } = changesOf(options);
  const missing = Object.entries({ region, host, port }).flatMap(([name, value]) => (value === undefined ? name : []));
  if (region === undefined || host === undefined || port === undefined) {
    const names = missing.map((name) => `--${name}`).join(', ');
    throw new EdgeError('EDGE_ERR_USAGE', `a backend needs ${names} as well\nsee: edgeproxy backends add --help`);
  }
  const backend = { ...DEFAULTS, ...more, id, region, host, port, healthy: !(options.unhealthy ?? false) };
  await runEdit(options, {
    create: true,
    refuseLoops: true,
    work: (editor) => {
      try {
        return editor.add(backend);
      } catch (error) {
        throw explainLoop(error, backend);
      }
    },
    value: (stored) => ({ backend: storedRow(stored) }),
    lines: (stored) => [`added ${id}: ${describeStored(stored)}`],
  });
}

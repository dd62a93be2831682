// Runs in: cli
import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { addBackends } from './backends.ts';
import { addCheck } from './check.ts';
import { addExplain } from './explain.ts';
import { usageError } from './failure.ts';
import { addHelp, describeTopics } from './help.ts';
import { addStatus } from './status.ts';
import { addWorkers } from './workers.ts';

/** What reads well, and fits every screen. */
const HELP_WIDTH = 80;

export function createProgram(): Command {
  const program = new Command('edgeproxy')
    .description(
      'The operator\'s commands. "check" looks at what a start would use; "backends" edits the routing database, whether ' +
        'a proxy runs or not; "status", "explain" and "workers" ask the running proxy over its admin API.',
    )
    .version(packageJson.version)
    // Inherited by the commands: errors are ours to print, and the exit code is ours to choose.
    .exitOverride()
    .configureOutput({ outputError: () => {}, getOutHelpWidth: () => HELP_WIDTH, getErrHelpWidth: () => HELP_WIDTH });
  addCheck(program);
  addBackends(program);
  addStatus(program);
  addExplain(program);
  addWorkers(program);
  addHelp(program, HELP_WIDTH);
  program.addHelpText('afterAll', ({ command }) =>
    command === program ? '' : '\nExit codes: see "edgeproxy --help"; 0 is done, 2 a mistake in the call.',
  );
  return program.addHelpText(
    'after',
    `
Each command has its own --help, and --json for programs; results are on stdout,
errors on stderr. Run from the checkout: npx edgeproxy <command>

${describeTopics(HELP_WIDTH).join('\n')}

Exit codes: 0 done; 2 a mistake in the call or the configuration; 3 an address,
4 a database; 5 no such backend, or one too many; 8 a worker, or busy; 9 the
admin API; 1 a defect. "edgeproxy help errors" names the errors behind them, and
"edgeproxy explain <code>" says what to do about one.`,
  );
}

/** Runs one command line, without the program's own name. @throws EdgeError */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    const error = usageError(thrown, program, args);
    if (error !== null) throw error;
  }
}

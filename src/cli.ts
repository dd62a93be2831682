// Runs in: cli. Its composition root: the operator's commands.
import { reportFailure } from './cli/failure.ts';
import { runProgram } from './cli/program.ts';

// `| head` closes our output before we are done: that is its reader's choice, not a failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}
const args = process.argv.slice(2);
try {
  await runProgram(args);
} catch (error) {
  // Not process.exit: a pipe may still have to take what was written.
  process.exitCode = reportFailure(error, args.includes('--json'));
}

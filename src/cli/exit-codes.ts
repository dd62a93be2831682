// Runs in: cli
import { ERRORS } from '../errors.ts';

/** The exit codes and the errors behind them, as the help shows them. */
export function describeExitCodes(): string {
  const errors = Object.entries(ERRORS)
    .map(([code, { exitCode, meaning }]) => ({ code, exitCode, meaning }))
    .sort((a, b) => a.exitCode - b.exitCode);
  const width = Math.max(...errors.map(({ code }) => code.length));
  const lines = errors.map(({ code, exitCode, meaning }, i) => {
    const number = errors[i - 1]?.exitCode === exitCode ? '' : String(exitCode);
    return `  ${number.padStart(2)}  ${code.padEnd(width)}  ${meaning}`;
  });
  return ['Exit codes:', '   0  done', ...lines].join('\n');
}

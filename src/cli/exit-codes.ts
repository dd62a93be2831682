// Runs in: cli
import { ERRORS } from '../errors.ts';
import { fold } from './table.ts';

/** The exit codes and the errors behind them, as the help shows them in `columns` columns. */
export function describeExitCodes(columns: number): string {
  const errors = Object.entries(ERRORS)
    .map(([code, { exitCode, meaning }]) => ({ code, exitCode, meaning }))
    .sort((a, b) => a.exitCode - b.exitCode);
  const width = Math.max(...errors.map(({ code }) => code.length));
  const lines = errors.flatMap(({ code, exitCode, meaning }, i) => {
    const number = errors[i - 1]?.exitCode === exitCode ? '' : String(exitCode);
    const before = `  ${number.padStart(2)}  ${code.padEnd(width)}  `;
    return fold(meaning, columns - before.length).map(
      (line, n) => (n === 0 ? before : ' '.repeat(before.length)) + line,
    );
  });
  return ['Exit codes ("edgeproxy explain <code>" says more of an error):', '   0  done', ...lines].join('\n');
}

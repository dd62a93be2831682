import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';

export const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliRun {
  /** The working directory: where `routing.db` is looked for. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Run by `sh -c` in the same process before it, such as `ulimit -n 128`. */
  readonly before?: string;
}

/** Runs the real command, without a terminal and with no environment of ours. */
export async function runCli(
  args: readonly string[],
  { cwd = tmpdir(), env = {}, before = ':' }: CliRun = {},
): Promise<CliResult> {
  const child = spawn('sh', ['-c', `${before}; exec "$0" "$@"`, process.execPath, CLI, ...args], {
    cwd,
    env: { ...CLEAN_ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await closed) as [number | null];
  return { code, stdout, stderr };
}

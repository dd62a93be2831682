// Runs in: primary

/** For a reader of the log that does not take the last lines. In ms. */
const LAST_LINES_MS = 1000;

/** The first code that is not 0, of several ends at once: a second signal may come while the log is written. */
let code = 0;

/** The end of the process. `isIdle`: none of its threads is in something that may take long. */
export async function leave(
  logs: { end(timeoutMs: number): Promise<boolean> },
  exitCode: number,
  isIdle: boolean,
): Promise<void> {
  code ||= exitCode;
  if ((await logs.end(LAST_LINES_MS)) && isIdle) process.exit(code);
  endStalledProcess(code);
}

/**
 * Every exit of Node's waits for a thread that is in a write which no reader takes, or in a query without end. Another program in our place does
 * not: the kernel ends our threads for it. It is Node itself, which is certainly here, and does nothing but exit.
 */
function endStalledProcess(exitCode: number): void {
  try {
    process.execve?.(process.execPath, [process.execPath, '--eval', `process.exitCode = ${exitCode}`], {});
  } catch {
    // Not on this platform, or the binary is gone.
  }
  process.kill(process.pid, 'SIGKILL');
}

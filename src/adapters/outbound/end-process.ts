// Runs in: primary

/** For a reader of the log that does not take the last lines. In ms. */
const LAST_LINES_MS = 1000;

/** The end of the process, by `exitCode`, which is asked last: a second signal may change it while the log is written. */
export async function leave(logs: { end(timeoutMs: number): Promise<boolean> }, exitCode: () => number): Promise<void> {
  if (await logs.end(LAST_LINES_MS)) process.exit(exitCode());
  endStalledProcess(exitCode());
}

/**
 * Every exit of Node's waits for the thread that is in a write which no reader takes. Another program in our place does
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

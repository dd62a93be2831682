// Runs in: primary

export interface SignalActions {
  readonly stop: (signal: string) => void;
  readonly stopAtOnce: (signal: string) => void;
  readonly roll: () => void;
  readonly scaleBy: (change: 1 | -1) => void;
  readonly reload: () => void;
}

/**
 * Ctrl-C reaches us from the terminal and, a few milliseconds later, from npm, which passes it on: for so long, in ms,
 * a second SIGINT is the first one's echo.
 */
const ECHO_MS = 200;

/** Maps signals, and pm2's `shutdown` message, to what they mean here. */
export function wireSignals(actions: SignalActions): void {
  let stoppedAt = 0;
  const stop = (signal: string) => {
    const now = performance.now();
    if (stoppedAt === 0) {
      stoppedAt = now;
      actions.stop(signal);
    } else if (signal !== 'SIGINT' || now - stoppedAt > ECHO_MS) {
      actions.stopAtOnce(signal);
    }
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('message', (message) => {
    if (message === 'shutdown') stop('shutdown');
  });
  process.on('SIGUSR2', actions.roll);
  process.on('SIGHUP', actions.reload);
  process.on('SIGTTIN', () => actions.scaleBy(1));
  process.on('SIGTTOU', () => actions.scaleBy(-1));
}

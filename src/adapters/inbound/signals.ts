// Runs in: primary
import type { Boundary } from '../../application/ports/boundary.ts';

export interface SignalActions {
  readonly stop: (signal: string) => void;
  readonly stopAtOnce: (signal: string) => void;
  readonly roll: () => unknown;
  readonly scaleBy: (change: 1 | -1) => void;
  readonly reload: () => unknown;
}

/**
 * Ctrl-C reaches us from the terminal and, a few milliseconds later, from npm, which passes it on: for so long, in ms,
 * a second SIGINT is the first one's echo.
 */
const ECHO_MS = 200;

/** Maps signals, and pm2's `shutdown` message, to what they mean here. */
export function wireSignals(boundary: Boundary, actions: SignalActions): void {
  let stoppedAt = 0;
  const stop = boundary.guard('signal', (signal: string) => {
    const now = performance.now();
    if (stoppedAt === 0) {
      stoppedAt = now;
      actions.stop(signal);
    } else if (signal !== 'SIGINT' || now - stoppedAt > ECHO_MS) {
      actions.stopAtOnce(signal);
    }
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('message', (message) => {
    if (message === 'shutdown') stop('shutdown');
  });
  const on = (signal: NodeJS.Signals, act: () => unknown) => process.on(signal, boundary.guard('signal', act));
  on('SIGUSR2', actions.roll);
  on('SIGHUP', actions.reload);
  on('SIGTTIN', () => actions.scaleBy(1));
  on('SIGTTOU', () => actions.scaleBy(-1));
}

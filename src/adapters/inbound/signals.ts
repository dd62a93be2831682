// Runs in: primary
import type { EventEmitter } from 'node:events';
import type { Boundary } from '../../application/ports/boundary.ts';
import type { Clock } from '../../application/ports/clock.ts';

export interface SignalActions {
  readonly stop: (signal: string) => unknown;
  readonly stopAtOnce: (signal: string) => unknown;
  readonly roll: () => unknown;
  readonly scaleBy: (change: 1 | -1) => void;
  readonly reload: () => unknown;
}

/**
 * Ctrl-C reaches us from the terminal and, a few milliseconds later, from npm, which passes it on: for so long, in ms,
 * a second SIGINT is the first one's echo.
 */
const ECHO_MS = 200;

export interface SignalOptions {
  readonly boundary: Boundary;
  readonly clock: Clock;
  /** The process. */
  readonly source: Pick<EventEmitter, 'on'>;
  /** Whether the operator sits in front of it. */
  readonly isTerminal: boolean;
}

/** Maps signals, and pm2's `shutdown` message, to what they mean here. */
export function wireSignals({ boundary, clock, source, isTerminal }: SignalOptions, actions: SignalActions): void {
  let stoppedAt = -Infinity;
  const stop = (signal: string): unknown => {
    const now = clock.now();
    if (stoppedAt === -Infinity) {
      stoppedAt = now;
      return actions.stop(signal);
    }
    const isEcho = signal === 'SIGINT' && now - stoppedAt <= ECHO_MS;
    return isEcho ? undefined : actions.stopAtOnce(signal);
  };
  const on = (signal: NodeJS.Signals, act: (signal: string) => unknown) =>
    source.on(signal, boundary.guard('signal', act));
  // SIGQUIT: how nginx's image, and those modelled on it, ask for a stop that drains.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) on(signal, stop);
  const onMessage = (message: unknown) => (message === 'shutdown' ? stop('shutdown') : undefined);
  source.on('message', boundary.guard('signal', onMessage));
  on('SIGUSR2', actions.roll);
  on('SIGHUP', actions.reload);
  // On a terminal they are job control's, and say only that somebody typed or printed.
  if (isTerminal) return;
  on('SIGTTIN', () => actions.scaleBy(1));
  on('SIGTTOU', () => actions.scaleBy(-1));
}

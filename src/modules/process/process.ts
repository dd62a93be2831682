// Runs in: primary
import { isatty } from 'node:tty';
import { type SignalActions, wireSignals } from '../../adapters/inbound/signals.ts';
import type { Base, Module } from '../module.ts';

/** What comes to the process itself: signals, pm2's message, and what no turn of ours threw. */
export class ProcessModule implements Module {
  readonly name = 'process';
  readonly #base: Base;
  readonly #actions: SignalActions;

  constructor(base: Base, actions: SignalActions) {
    this.#base = base;
    this.#actions = actions;
  }

  start(): void {
    const { boundary, clock } = this.#base;
    wireSignals({ boundary, clock, source: process, isTerminal: isatty(1) }, this.#actions);
    // A callback of Node's or a library's, about one descriptor or process, beside all turns of ours: the books are not
    // touched by it, and to end would cut every connection of the POP for it. Before, it refuses the start.
    process.on('uncaughtException', (error) => boundary.failed('unexpected', error));
  }

  /** To the end, a second signal is to be heard, and nothing is to change the exit code. */
  stop(): void {}
}

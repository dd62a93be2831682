// Runs in: primary
import { isatty } from 'node:tty';
import { wireSignals } from '../../adapters/inbound/signals.ts';
import { rollAndTell } from '../../application/roll-workers.ts';
import type { StopProxy } from '../../application/stop-proxy.ts';
import { nearestWorkerCount } from '../../domain/worker-count.ts';
import type { GeoipModule } from '../geoip/geoip.ts';
import type { Base, Module } from '../module.ts';
import type { RoutingModule } from '../routing/routing.ts';
import type { WorkersModule } from '../workers/workers.ts';

export interface ProcessParts {
  readonly routing: RoutingModule;
  readonly geoip: GeoipModule;
  readonly workers: WorkersModule;
  readonly stop: () => StopProxy;
}

/** What comes to the process itself: signals, pm2's message, and what no turn of ours threw. */
export class ProcessModule implements Module {
  readonly name = 'process';
  readonly #base: Base;
  readonly #parts: ProcessParts;

  constructor(base: Base, parts: ProcessParts) {
    this.#base = base;
    this.#parts = parts;
  }

  start(): void {
    const { boundary, clock, log } = this.#base;
    const { routing, geoip, workers, stop } = this.#parts;
    const { supervisor } = workers;
    wireSignals(
      { boundary, clock, source: process, isTerminal: isatty(1) },
      {
        roll: () => rollAndTell(supervisor, log),
        reload: () => Promise.all([routing.look(), geoip.look()]),
        scaleBy: (change) => {
          if (!stop().isStopping) supervisor.scale(nearestWorkerCount(supervisor.desired + change));
        },
        stop: (signal) => stop().drain(signal),
        stopAtOnce: (signal) => stop().atOnce(signal),
      },
    );
    // A callback of Node's or a library's, about one descriptor or process, beside all turns of ours: the books are not
    // touched by it, and to end would cut every connection of the POP for it. Before, it refuses the start.
    process.on('uncaughtException', (error) => boundary.failed('unexpected', error));
  }

  /** To the end, a second signal is to be heard, and nothing is to change the exit code. */
  stop(): void {}
}

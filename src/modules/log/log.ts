// Runs in: primary
import type { Logs } from '../../adapters/outbound/log/pino-log.ts';
import type { InternalErrors } from '../../application/internal-errors.ts';
import { NO_REASONS, type Reasons } from '../../application/modules.ts';
import { counter, type Metric } from '../../application/ports/metric.ts';
import type { Module } from '../module.ts';

/** The log, and the defects of ours that it tells. */
export class LogModule implements Module {
  readonly name = 'log';
  readonly metrics: readonly Metric[];
  readonly #logs: Logs;

  constructor(logs: Logs, errors: InternalErrors) {
    this.#logs = logs;
    this.metrics = [
      counter(
        'internal_errors_total',
        'Defects of ours that were caught, by what the turn served; the log has the stack',
        () => errors.counts(),
        'turn',
      ),
      counter('log_dropped_total', 'Log lines that could not be written: a full disk, or a reader that stalls', () =>
        logs.dropped(),
      ),
    ];
  }

  /** It is open since there was a configuration: what the start has to say must be told. */
  start(): void {}

  /** It is written out by whoever leaves the process: its last record is of the end. */
  stop(): void {}

  reasons(): Reasons {
    const lost = this.#logs.lostLately();
    if (lost === 0) return NO_REASONS;
    const note = `the log is full, or its reader stalls: ${lost} lines were lost since the start, the last one of late`;
    return { missing: [], notes: [note] };
  }
}

// Runs in: primary
import type { Route } from '../adapters/inbound/admin-http/route.ts';
import type { Life } from '../application/modules.ts';
import type { Boundary } from '../application/ports/boundary.ts';
import type { Clock } from '../application/ports/clock.ts';
import type { Log } from '../application/ports/log.ts';
import type { Metric } from '../application/ports/metric.ts';
import type { Config } from '../config.ts';

/**
 * A part of the primary: its life, and what it adds to the admin API and to the metrics. What it has only from its start on
 * is declared with `!`, and read by parts that start after it. Its variables stand beside it, in `variables.ts`.
 */
export interface Module extends Life {
  readonly routes?: readonly Route[];
  readonly metrics?: readonly Metric[];
}

/** What every part may use. */
export interface Base {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly boundary: Boundary;
}

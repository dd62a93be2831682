// Runs in: primary

export type WorkerState = 'starting' | 'serving' | 'draining';

export interface WorkerView {
  readonly pid: number;
  readonly incarnation: number;
  readonly state: WorkerState;
  readonly connections: number;
  /** Until what a draining worker still holds is reset, in ms; `null` for one that does not drain. */
  readonly resetInMs: number | null;
}

/** What drains do to connections, beside the workers that drain now. */
export interface DrainView {
  /** How long a worker that drains waits for its connections before it resets them, in ms. */
  readonly drainMs: number;
  /** Connections that drains have reset since the start. */
  readonly reset: number;
}

export interface RollResult {
  /** Workers that have a successor which accepts. */
  readonly replaced: number;
  /** Connections that workers which drain still hold. */
  readonly draining: number;
  /** Until the last of them is reset, in ms; 0 when there are none. */
  readonly resetInMs: number;
  /** The proxy was told to stop meanwhile: the rest was not replaced, and drains. */
  readonly stopping: boolean;
}

/** Why new workers are not coming, for health. */
export interface SupervisorHealth {
  readonly desired: number;
  readonly serving: number;
  readonly starting: number;
  readonly draining: number;
  /** Deaths in a row that came too soon after a start, or too often. */
  readonly crashes: number;
  /** Until the next start, in ms; 0 when none is being held back. */
  readonly restartInMs: number;
  readonly lastCrash: string;
  /** The code on disk was found to be another than the workers run. */
  readonly isOtherOnDisk: boolean;
}

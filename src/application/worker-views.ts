// Runs in: primary

export type WorkerState = 'starting' | 'serving' | 'draining';

export interface WorkerView {
  readonly pid: number;
  readonly incarnation: number;
  readonly state: WorkerState;
  readonly connections: number;
}

/** Why new workers are not coming, for health. */
export interface SupervisorHealth {
  readonly desired: number;
  readonly serving: number;
  readonly starting: number;
  readonly draining: number;
  /** Crashes in a row, each soon after its start. */
  readonly crashes: number;
  /** Until the next start, in ms; 0 when none is being held back. */
  readonly restartInMs: number;
  readonly lastCrash: string;
}

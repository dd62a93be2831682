export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why we ended it or turned it away ourselves: it was silent, or speaks another protocol. `''`: it ended by itself. */
  readonly reason: string;
  /** Connections that it reset at its drain deadline, or still held; those are given back already. */
  readonly cut: number;
}

export interface WorkerEvents {
  /** It accepts connections on every listener; told again when it had stopped for a while. */
  readonly accepting: () => void;
  /** It was asked, from outside, to go: it wants a successor and to be drained. */
  readonly retiring: () => void;
  /** The last event: the process is gone, and so is everything that it held. */
  readonly exited: (exit: WorkerExit) => void;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Tells it how many connections it may hold before it leaves further clients to the other workers; 0: as many as come. */
  cap(connections: number): void;
  /** Tells it to accept no more, to finish what is open until the drain deadline, and to exit. */
  drain(): void;
  /** Ends it at once. `reason` comes back in its exit. */
  kill(reason: string): void;
}

/** Starts worker processes. Events are never called before `launch` returned. */
export interface WorkerLauncher {
  /** `fresh`: from the code that is on disk now; else from that which the workers run. */
  launch(incarnation: number, events: WorkerEvents, fresh: boolean): WorkerProcess;
  /** A worker that was launched fresh accepts: its code is what the workers run from now on. */
  takeUp(): void;
  /** The code on disk was found to be another than the workers run. */
  readonly isOtherOnDisk: boolean;
}

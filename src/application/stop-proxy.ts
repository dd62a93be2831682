// Runs in: primary
import type { Boundary } from './ports/boundary.ts';
import type { Log } from './ports/log.ts';
import type { WorkerSupervisor } from './supervise-workers.ts';

export interface StopOptions {
  readonly supervisor: WorkerSupervisor;
  readonly log: Log;
  readonly boundary: Boundary;
  /** Slots held. */
  readonly connections: () => number;
  /** After which open connections are cut, in ms. */
  readonly drainTimeoutMs: number;
  /** Gives up the primary's copies of the listening sockets. */
  readonly closePorts: () => void;
  /** Resolves when the connections that workers' deaths cut have their records. */
  readonly recorded: () => Promise<unknown>;
  /** Ends what else runs; resolves when nothing is under way any more. */
  readonly close: () => Promise<unknown>;
  /** Ends the process. `isIdle`: nothing is under way in its threads, which Node would wait for. */
  readonly leave: (exitCode: number, isIdle: boolean) => void;
}

/** For what is loading, or being answered, at a stop: it is of no use any more. In ms. */
const CLOSE_MS = 500;
/** For the records of connections that were cut, of which there may be a hundred thousand. In ms. */
const RECORD_MS = 2000;
/** For killed workers to be gone. In ms. */
const KILL_MS = 1000;

/** The way out: drain, then leave; by a second signal at once, with a record for each connection that cuts. */
export class StopProxy {
  readonly #options: StopOptions;
  #signals = 0;

  constructor(options: StopOptions) {
    this.#options = options;
  }

  get isStopping(): boolean {
    return this.#signals > 0;
  }

  /** Stops accepting, waits for what is open until the drain deadline, and ends the process with 0. */
  async drain(signal: string): Promise<void> {
    this.#signals++;
    const { supervisor, log, boundary, connections, drainTimeoutMs, closePorts, recorded, close, leave } =
      this.#options;
    log.info(
      { signal, connections: connections(), drainSecs: drainTimeoutMs / 1000 },
      'stopping: draining connections',
    );
    // With the last worker's copy the kernel's queue goes, and clients are told at once to go elsewhere.
    boundary.run('signal', closePorts);
    await supervisor.stop();
    await within(RECORD_MS, recorded());
    const isIdle = await within(CLOSE_MS, close()).catch((error: unknown) => {
      boundary.failed('signal', error);
      return false;
    });
    log.info({}, 'stopped');
    leave(this.#signals < 2 ? 0 : 1, isIdle);
  }

  /** To be called after `drain`: cuts what is open, and ends the process with 1. Called again, it waits for nothing. */
  async atOnce(signal: string): Promise<void> {
    const { supervisor, log, connections, recorded, leave } = this.#options;
    log.warn({ signal, connections: connections() }, 'stopping at once');
    // Their ends give the connections that they cut their records.
    if (++this.#signals === 2) {
      await within(KILL_MS, supervisor.killAll());
      await within(RECORD_MS, recorded());
    }
    leave(1, false);
  }
}

/** Whether it came about in time. */
async function within(ms: number, what: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([what.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

// Runs in: primary
import type { Modules } from './modules.ts';
import type { Log } from './ports/log.ts';

export interface StopOptions {
  readonly modules: Pick<Modules, 'lameDuck' | 'closePorts' | 'drain' | 'cut' | 'end'>;
  readonly log: Log;
  /** Slots held. */
  readonly connections: () => number;
  /** For so long clients are still served while readiness is gone, in ms; 0: not at all. */
  readonly lameDuckMs: number;
  /** After which open connections are cut, in ms. */
  readonly drainTimeoutMs: number;
  /** Ends the process. `isIdle`: nothing is under way in its threads, which Node would wait for. */
  readonly leave: (exitCode: number, isIdle: boolean) => void;
}

/** For what is loading, or being answered, at a stop, of each module: it is of no use any more. In ms. */
export const END_MS = 500;
/** For what is cut: workers to be gone, and their connections to have their records, of which there may be a hundred thousand. In ms. */
const CUT_MS = 2000;

/**
 * The way out: lame duck, close ports, drain, end; by a second signal at once, with a record for each connection that cuts.
 */
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
    const { modules, log, connections, lameDuckMs, drainTimeoutMs, leave } = this.#options;
    const drainSecs = drainTimeoutMs / 1000;
    if (lameDuckMs > 0) log.info({ signal, lameDuckSecs: lameDuckMs / 1000 }, 'stopping: lame duck');
    modules.lameDuck();
    if (lameDuckMs > 0) await new Promise((resolve) => setTimeout(resolve, lameDuckMs));
    log.info({ signal, connections: connections(), drainSecs }, 'stopping: draining connections');
    // With the last worker's copy the kernel's queue goes, and clients are told at once to go elsewhere.
    modules.closePorts();
    await modules.drain(drainTimeoutMs);
    const isIdle = await modules.end(END_MS);
    log.info({}, 'stopped');
    leave(this.#signals < 2 ? 0 : 1, isIdle);
  }

  /** To be called after `drain`: cuts what is open, and ends the process with 1. Called again, it waits for nothing. */
  async atOnce(signal: string): Promise<void> {
    const { modules, log, connections, leave } = this.#options;
    log.warn({ signal, connections: connections() }, 'stopping at once');
    // Their ends give the connections that they cut their records.
    if (++this.#signals === 2) await modules.cut(CUT_MS);
    leave(1, false);
  }
}

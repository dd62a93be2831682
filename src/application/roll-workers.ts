// Runs in: primary
import { EdgeError } from '../errors.ts';
import type { Crew, Member } from './crew.ts';
import type { Log } from './ports/log.ts';
import type { DrainView, RollResult, WorkerView } from './worker-views.ts';

export interface RollOptions {
  readonly crew: Crew;
  readonly log: Log;
  readonly list: () => readonly WorkerView[];
  readonly drains: () => DrainView;
  /** Resolves with whether it was; rejects when its successor failed. */
  readonly replace: (member: Member) => Promise<boolean>;
  readonly isStopping: () => boolean;
}

/** Replaces workers one at a time, each after its successor accepts. */
export class RollWorkers {
  readonly #options: RollOptions;
  #generation = 0;
  #isRolling = false;

  constructor(options: RollOptions) {
    this.#options = options;
  }

  get isRolling(): boolean {
    return this.#isRolling;
  }

  /** How many rolls there were, one that is under way included. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Replaces every worker that was started before it. Resolves when none is left that does not drain; scaling meanwhile
   * changes how many there are, and a stop ends it early.
   * @throws EDGE_ERR_BUSY while a roll or a stop is under way
   * @throws EDGE_ERR_WORKER_START when a successor fails: the workers that were not replaced yet serve on
   */
  async run(): Promise<RollResult> {
    const { crew, log, list, drains, replace, isStopping } = this.#options;
    if (isStopping()) throw new EdgeError('EDGE_ERR_BUSY', 'the proxy is stopping');
    if (this.#isRolling) throw new EdgeError('EDGE_ERR_BUSY', 'a roll is under way; wait for it to end');
    this.#isRolling = true;
    const generation = ++this.#generation;
    log.info({ workers: crew.active().length, connections: connectionsOf(list()), ...drains() }, 'roll started');
    try {
      let replaced = 0;
      for (let old = crew.nextOld(generation); old !== undefined; old = crew.nextOld(generation)) {
        if (await replace(old)) replaced++;
      }
      const draining = list().filter((worker) => worker.resetInMs !== null && worker.connections > 0);
      const resetInMs = Math.max(0, ...draining.map((worker) => worker.resetInMs ?? 0));
      const result = { replaced, draining: connectionsOf(draining), resetInMs, stopping: isStopping() };
      log.info(result, 'roll finished');
      return result;
    } finally {
      this.#isRolling = false;
    }
  }
}

function connectionsOf(workers: readonly WorkerView[]): number {
  return workers.reduce((sum, { connections }) => sum + connections, 0);
}

/** For whoever waits for no answer: what became of it is in the log. */
export function rollAndTell(workers: { roll(): Promise<RollResult> }, log: Log): void {
  workers.roll().catch((error: EdgeError) => {
    if (error.code === 'EDGE_ERR_BUSY') log.warn({ reason: error.message }, 'roll not started');
    else log.error({ code: error.code, reason: error.message }, 'roll ended early; the workers that remain serve on');
  });
}

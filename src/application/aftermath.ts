// Runs in: primary
import { inSlices, sharedTurn } from './in-slices.ts';
import type { AccessLog } from './ports/access-log.ts';
import type { Boundary } from './ports/boundary.ts';

/** For a log that does not keep up, for each work, in ms; what is written then is the log's to drop and to count. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 10;

/**
 * What a dead worker's connections leave to do: a hundred thousand records may be to be written, while everybody else's
 * clients are served, and no faster than the log takes them.
 */
export class Aftermath {
  readonly #log: Pick<AccessLog, 'isBehind'>;
  readonly #boundary: Boundary;
  readonly #underWay = new Set<Promise<void>>();

  constructor(log: Pick<AccessLog, 'isBehind'>, boundary: Boundary) {
    this.#log = log;
    this.#boundary = boundary;
  }

  /** Does the first slice now, the others in turns to come. */
  begin(work: Generator<void, void>): void {
    let patience = PATIENCE_MS;
    const turn = async () => {
      await sharedTurn();
      for (; this.#log.isBehind && patience > 0; patience -= LOOK_MS) await delay(LOOK_MS);
    };
    const done = inSlices(work, turn)
      .catch((error: unknown) => this.#boundary.failed('worker', error))
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Resolves when nothing of what was begun is left to do. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Runs in: primary
import { messageOf } from '../errors.ts';
import { every, type Periodic } from '../every.ts';
import type { Reasons } from './modules.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Log } from './ports/log.ts';

/** A GeoIP database whose file may be replaced while it serves. */
export interface UpdatableGeoip {
  readonly path: string;
  /** Never rejects. A failure is told at every look until the file changes. */
  checkForUpdate(): Promise<{ kind: 'unchanged' } | { kind: 'reloaded' } | { kind: 'failed'; message: string }>;
}

/** Follows the GeoIP file; a bad one is named once, and the one before it serves on. */
export class WatchGeoip {
  readonly #geoip: UpdatableGeoip;
  readonly #log: Log;
  readonly #boundary: Boundary;
  #told = '';
  #looks: Periodic | null = null;
  #running: Promise<void> | null = null;

  constructor(geoip: UpdatableGeoip, log: Log, boundary: Boundary) {
    this.#geoip = geoip;
    this.#log = log;
    this.#boundary = boundary;
  }

  reasons(): Reasons {
    return { missing: [], notes: this.#told === '' ? [] : [`the GeoIP database of before serves on: ${this.#told}`] };
  }

  /** Never rejects; a look that is under way already is shared. */
  look(): Promise<void> {
    this.#running ??= this.#look().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #look(): Promise<void> {
    const update = await this.#geoip.checkForUpdate().catch((error: unknown) => this.#defect(error));
    if (update.kind === 'failed') {
      if (update.message !== this.#told)
        this.#log.error({ reason: update.message }, 'GeoIP database not reloaded; the one before serves on');
      this.#told = update.message;
      return;
    }
    if (update.kind === 'reloaded') this.#log.info({ path: this.#geoip.path }, 'GeoIP database reloaded');
    this.#told = '';
  }

  /** Looks every `intervalMs`. */
  every(intervalMs: number): void {
    this.#looks = every(
      intervalMs,
      () => this.look(),
      (error) => this.#boundary.failed('geoip', error),
    );
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    await this.#looks?.stop();
    await this.#running;
  }

  /** One that comes again at every look is told once. */
  #defect(error: unknown): { kind: 'failed'; message: string } {
    const message = messageOf(error);
    if (message !== this.#told) this.#boundary.failed('geoip', error);
    return { kind: 'failed', message };
  }
}

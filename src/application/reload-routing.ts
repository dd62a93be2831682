// Runs in: primary
import { messageOf } from '../errors.ts';
import { every, type Periodic } from '../every.ts';
import type { BackendRepository } from './ports/backend-repository.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { RoutingState } from './routing-state.ts';

export interface ReloadOptions {
  readonly repository: BackendRepository;
  readonly routing: RoutingState;
  readonly log: Log;
  readonly clock: Clock;
  readonly boundary: Boundary;
}

/** How the routing database stands, for health and metrics. */
export interface RoutingHealth {
  readonly version: number;
  readonly backends: number;
  /** Rows that were skipped in the last load. */
  readonly badRows: number;
  /** Why the last look failed; `''` when it did not. */
  readonly error: string;
  readonly loads: number;
  readonly failures: number;
}

export interface RoutingAge {
  /** How long the table has served; `null`: none was loaded yet. In ms. */
  readonly servesForMs: number | null;
  /** Since the last look at the database ended; `null`: none did yet. In ms. */
  readonly lookedMsAgo: number | null;
}

/** What a look that was asked for found. */
export interface AskedLook {
  readonly version: number;
  /** The version went up between the question and the answer. */
  readonly changed: boolean;
  readonly backends: number;
  /** Rows that are skipped. */
  readonly skipped: number;
  /** Why the database is not loaded; not there when it is. */
  readonly error?: string;
}

/** Brings the routing table up to date with its database; whatever is wrong there, the last good table serves on. */
export class ReloadRouting {
  readonly #options: ReloadOptions;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #servesSince: number | null = null;
  #lookedAt: number | null = null;
  #badRows = 0;
  #error = '';
  /** The file's rows are all bad, and the table before them serves on. */
  #refused = false;
  /** What was loaded last could not be taken over: the next look has to load it again, changed or not. */
  #notTaken = false;
  #warning = '';
  #loads = 0;
  #failures = 0;
  #looks: Periodic | null = null;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  health(): RoutingHealth {
    const { version, size } = this.#options.routing.table;
    return {
      version,
      backends: size,
      badRows: this.#badRows,
      error: this.#error,
      loads: this.#loads,
      failures: this.#failures,
    };
  }

  /** Looks now. Never rejects; a look that is under way already is shared. */
  look(): Promise<void> {
    this.#running ??= this.#look()
      .catch((error: unknown) => this.#defect(error))
      .finally(() => {
        this.#running = null;
        this.#lookedAt = this.#options.clock.now();
      });
    return this.#running;
  }

  /**
   * A look that begins after the call, and so finds whatever the caller has committed. One that is under way may have
   * read before that: then it is the one behind it, which all share who ask meanwhile. Never rejects.
   */
  async lookNow(): Promise<AskedLook> {
    const { routing } = this.#options;
    const { version } = routing.table;
    this.#next ??= Promise.resolve(this.#running).then(() => {
      this.#next = null;
      return this.look();
    });
    await this.#next;
    return {
      version: routing.table.version,
      changed: routing.table.version !== version,
      backends: routing.table.size,
      skipped: this.#badRows,
      ...(this.#error === '' ? {} : { error: this.#error }),
    };
  }

  age(): RoutingAge {
    const now = this.#options.clock.now();
    const since = (time: number | null) => (time === null ? null : now - time);
    return { servesForMs: since(this.#servesSince), lookedMsAgo: since(this.#lookedAt) };
  }

  /** Looks every `intervalMs`. */
  every(intervalMs: number): void {
    this.#looks = every(
      intervalMs,
      () => this.look(),
      (error) => this.#options.boundary.failed('routing', error),
    );
  }

  async stop(): Promise<void> {
    await this.#looks?.stop();
    await this.#running;
    await this.#options.repository.close();
  }

  async #look(): Promise<void> {
    const { repository, routing, log } = this.#options;
    const { version, contentHash } = routing.table;
    const have = version === 0 ? undefined : contentHash;
    const look = await repository.look({ have, force: this.#notTaken });
    if (look.kind === 'failed') {
      this.#failed(look.code, look.message);
      return;
    }
    // What was refused as a whole is still what stands in the file.
    if (look.kind === 'unchanged' && this.#refused) return;
    if (look.kind === 'loaded') {
      this.#loads++;
      this.#notTaken = true;
      const { content, warning = '' } = look;
      if (warning !== '' && warning !== this.#warning)
        log.warn({ reason: warning }, 'routing database needs attention');
      this.#warning = warning;
      this.#badRows = content.problemCount;
      if (content.problemCount > 0) {
        log.warn(
          { skipped: content.problemCount, rows: content.problems },
          'routing rows skipped; the good ones serve',
        );
      }
      // Rows, and none of them good: a slip of whoever wrote them, not the wish to serve nobody. An empty table is one.
      this.#refused = content.rows === 0 && content.problemCount > 0 && routing.table.size > 0;
      if (this.#refused) {
        this.#notTaken = false;
        this.#failed(
          'EDGE_ERR_BACKEND_INVALID',
          `each of its ${content.problemCount} rows has a value that it may not have`,
        );
        return;
      }
    }
    const change = look.kind === 'loaded' ? await routing.install(look.content) : null;
    this.#notTaken = false;
    if (this.#error !== '') log.info({}, 'routing database is readable again');
    this.#error = '';
    if (change === null) return;
    this.#servesSince = this.#options.clock.now();
    const { version: serving, size: backends } = routing.table;
    log.info({ version: serving, backends, skipped: this.#badRows, ...change.summary() }, 'routing table loaded');
  }

  /** One that comes again at every look is told once, and counted with the failures. */
  #defect(error: unknown): void {
    const reason = `what was loaded cannot be taken over: ${messageOf(error)}`;
    if (reason !== this.#error) this.#options.boundary.failed('routing', error);
    this.#failed('EDGE_ERR_INTERNAL', reason);
  }

  /** Said once, not every few seconds; health goes on showing it. */
  #failed(code: string, reason: string): void {
    const { log, routing } = this.#options;
    this.#failures++;
    if (reason !== this.#error) {
      const serving = { version: routing.table.version, backends: routing.table.size };
      const then = serving.version === 0 ? 'clients are refused until it is' : 'the last good table serves on';
      log.error({ code, reason, serving }, `routing database not loaded; ${then}`);
    }
    this.#error = reason;
  }
}

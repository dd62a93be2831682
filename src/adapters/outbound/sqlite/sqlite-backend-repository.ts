// Runs in: primary
import type { BigIntStats } from 'node:fs';
import { Piscina } from 'piscina';
import type { BackendRepository, LookOptions, RoutingLook } from '../../../application/ports/backend-repository.ts';
import { EdgeError, messageOf } from '../../../errors.ts';
import { ChangeWatch } from './change-watch.ts';
import { databaseError, missingError } from './failure.ts';
import {
  type FileId,
  idOf,
  isFresh,
  isHeaderAlone,
  realPathOrNull,
  sameFile,
  sameInode,
  showId,
  showTimes,
  statOrNull,
} from './file-id.ts';
import type { LeftOverWal } from './left-over-wal.ts';
import { checkReply, LOAD_VERSION, type LoadReply, type LoadRequest } from './load-protocol.ts';
import type { OwnEndpoint } from './own-endpoints.ts';

export interface SqliteBackendRepositoryOptions {
  /** The routing database; a relative path is relative to the working directory. */
  readonly path: string;
  /** Asked at every look: a change, such as an interface that came up, loads the table again. Default: none. */
  readonly ownEndpoints?: () => readonly OwnEndpoint[];
  /** How long a load may take, ms, > 0; then it is aborted and has failed. Default 30,000. */
  readonly loadTimeoutMs?: number;
}

const TASK = new URL('../../../../workers/load-routing-table.ts', import.meta.url).href;

/** The routing database as the operators' file: watched here, loaded in a thread, never written. */
export class SqliteBackendRepository implements BackendRepository {
  readonly #path: string;
  readonly #ownEndpoints: () => readonly OwnEndpoint[];
  readonly #loadTimeoutMs: number;
  #pool: Piscina<LoadRequest, unknown> | null = null;
  /** Of the load that is under way. */
  #threadFailed: (error: unknown) => void = () => {};
  readonly #watch = new ChangeWatch();
  #closed = false;
  #running: { readonly look: Promise<RoutingLook>; readonly force: boolean } | null = null;
  #forcedNext: Promise<RoutingLook> | null = null;
  /** The file as it was at the last look, and the WAL beside it. */
  #known: { readonly main: FileId; readonly wal: FileId | null } | null = null;
  #leftOver: LeftOverWal | null = null;
  /** What the served table was loaded at; `null` when the next look has to load. */
  #loadedAt: string | null = null;

  constructor(options: SqliteBackendRepositoryOptions) {
    this.#path = options.path;
    this.#ownEndpoints = options.ownEndpoints ?? (() => []);
    this.#loadTimeoutMs = options.loadTimeoutMs ?? 30_000;
  }

  look({ have, force = false }: LookOptions = {}): Promise<RoutingLook> {
    const running = this.#running;
    if (running === null) return this.#start(have, force);
    if (!force || running.force) return running.look;
    // Whoever forces a look must not be told "unchanged" by one that was not forced.
    this.#forcedNext ??= running.look.then(() => {
      this.#forcedNext = null;
      return this.look({ have, force });
    });
    return this.#forcedNext;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#dropThread();
    await this.#running?.look;
    this.#watch.close();
  }

  #start(have: string | undefined, force: boolean): Promise<RoutingLook> {
    const look = this.#look(have, force).finally(() => {
      this.#running = null;
    });
    this.#running = { look, force };
    return look;
  }

  async #look(have: string | undefined, force: boolean): Promise<RoutingLook> {
    if (this.#closed) return { kind: 'unchanged' };
    try {
      const path = await realPathOrNull(this.#path);
      const stats = path === null ? null : await statOrNull(path);
      if (path === null || stats === null) throw missingError(this.#path);
      const ownEndpoints = this.#ownEndpoints();
      // Taken before the load: a commit that falls into the load is seen by the next look.
      const stamp = await this.#stamp(path, stats, ownEndpoints);
      if (!force && stamp !== null && stamp === this.#loadedAt) return { kind: 'unchanged' };
      this.#loadedAt = null;
      return await this.#load({ path, have: have ?? null, ownEndpoints }, stamp);
    } catch (error) {
      if (this.#closed) return { kind: 'unchanged' };
      this.#loadedAt = null;
      this.#watch.close();
      const { code, message } = databaseError(error, this.#path);
      return { kind: 'failed', code, message };
    }
  }

  /** A text that is equal while nothing changed, or `null` when that cannot be told. */
  async #stamp(path: string, stats: BigIntStats, ownEndpoints: readonly OwnEndpoint[]): Promise<string | null> {
    const main = idOf(stats);
    const walStats = await statOrNull(`${path}-wal`);
    const wal = walStats === null ? null : idOf(walStats);
    const known = this.#known;
    if (known?.wal && !sameInode(known.main, main)) {
      // To be put there sets the time of its last change only, to be written sets both.
      this.#leftOver = { wal: known.wal, mainWritten: stats.mtimeNs < stats.ctimeNs ? stats.mtimeNs : null };
    }
    if (!sameFile(this.#leftOver?.wal ?? null, wal)) this.#leftOver = null;
    this.#known = { main, wal };
    if (!stats.isFile()) return null;
    // The times beside the version: a file copied over this one may have its change counter, which is all that the
    // version of a rollback-mode database knows.
    const rest = `${showTimes(stats)} ${JSON.stringify(ownEndpoints)}`;
    if (this.#leftOver !== null) {
      // A connection would ask the other file's WAL. What is served is the main file alone, so its times tell.
      this.#watch.close();
      return isFresh(stats) ? null : `${showId(wal)} ${rest}`;
    }
    const version = isHeaderAlone(walStats) ? 'unusable' : await this.#watch.version(path, main, wal);
    this.#known = { main, wal: this.#watch.wal ?? wal };
    if (version === 'busy') return null;
    if (version !== 'unusable') return `${version} ${rest}`;
    // Taken after the attempt, which may have made the WAL.
    const walNow = await statOrNull(`${path}-wal`);
    return isFresh(stats) || isFresh(walNow) ? null : `${showTimes(walNow)} ${rest}`;
  }

  async #load(what: Pick<LoadRequest, 'path' | 'have' | 'ownEndpoints'>, stamp: string | null): Promise<RoutingLook> {
    const reply = await this.#runInThread({ version: LOAD_VERSION, ...what, leftOver: this.#leftOver });
    if (reply.kind === 'failed') return reply;
    const { content, file, warning } = reply;
    if (file !== null && this.#known !== null && sameFile(file.main, this.#known.main)) {
      this.#known = file;
      this.#loadedAt = stamp;
    }
    return { kind: 'loaded', content, ...(warning === undefined ? {} : { warning }) };
  }

  async #runInThread(request: LoadRequest): Promise<LoadReply> {
    const signal = AbortSignal.timeout(this.#loadTimeoutMs);
    const failed = new Promise<never>((_resolve, reject) => {
      this.#threadFailed = reject;
    });
    try {
      if (this.#closed) throw new Error('closed');
      this.#pool ??= this.#startThread();
      return checkReply(await Promise.race([this.#pool.run(request, { signal }), failed]));
    } catch (error) {
      // The next load may find other code on disk.
      void this.#dropThread();
      if (error instanceof EdgeError) throw error;
      const cause = { cause: error };
      if (signal.aborted) {
        const message = `loading ${this.#path} took longer than ${this.#loadTimeoutMs} ms and was given up: is its disk slow?`;
        throw new EdgeError('EDGE_ERR_DB_UNREADABLE', message, cause);
      }
      throw new EdgeError(
        'EDGE_ERR_INTERNAL',
        `the thread that loads ${this.#path} failed: ${messageOf(error)}`,
        cause,
      );
    }
  }

  /**
   * It stays for the life of the primary, some 20 MB, and so does the code that it runs, whatever comes to stand on disk.
   * The first load, which is at the start, starts it.
   */
  #startThread(): Piscina<LoadRequest, unknown> {
    const pool = new Piscina<LoadRequest, unknown>({
      filename: TASK,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      // The primary's own flags (an inspector, a preloaded module) are not for this thread, and would slow its start.
      execArgv: [],
    });
    // One that dies while it starts has no load yet; the one that waits for it would wait in vain.
    pool.on('error', (error) => this.#threadFailed(error));
    return pool;
  }

  async #dropThread(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.destroy();
  }
}

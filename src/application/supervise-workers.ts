// Runs in: primary
import { EdgeError } from '../errors.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { WorkerExit, WorkerLauncher, WorkerProcess } from './ports/worker-launcher.ts';
import { RestartBackoff, STABLE_MS } from './restart-backoff.ts';
import type { ShareClients } from './share-clients.ts';
import type { SupervisorHealth, WorkerState, WorkerView } from './worker-views.ts';

export type { SupervisorHealth, WorkerState, WorkerView } from './worker-views.ts';

export interface SupervisorOptions {
  readonly launcher: WorkerLauncher;
  readonly clock: Clock;
  readonly log: Log;
  readonly workers: number;
  /** Slots that a worker holds. */
  readonly heldBy: (incarnation: number) => number;
  /** A drained worker exits by then by itself; shortly after it is killed. In ms. */
  readonly drainTimeoutMs: number;
  readonly shares: ShareClients;
  readonly boundary: Boundary;
}

interface Member {
  readonly incarnation: number;
  readonly process: WorkerProcess;
  state: WorkerState;
  servingSince: number;
  /** Somebody is taking its place: it does not count towards the desired number. */
  leaving: boolean;
  /** Whose place it takes, until it accepts. */
  replaces: Member | null;
  deadline: NodeJS.Timeout | null;
  settleStart: (error: EdgeError | null) => void;
}

/** Loading the code takes a fraction of a second; a start that takes so long hangs. In ms. */
const START_TIMEOUT_MS = 30_000;
/** What a draining worker gets beyond its deadline for its last reports. In ms. */
const DRAIN_GRACE_MS = 2_000;

/**
 * Keeps the desired number of workers running: replaces those that die, with backoff when they crash in a loop, rolls
 * them one at a time, scales and stops them. It never touches a listening socket, so none of this can refuse a client.
 */
export class WorkerSupervisor {
  readonly #options: SupervisorOptions;
  readonly #members = new Set<Member>();
  readonly #backoff: RestartBackoff;
  #desired: number;
  #incarnations = 0;
  #rolling = false;
  #stopping: (() => void) | null = null;
  #whenServing: (() => void) | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#desired = options.workers;
    this.#backoff = new RestartBackoff(options.clock);
  }

  /** Starts the workers; resolves when as many as are desired accept, however long crashes delay that. */
  start(): Promise<void> {
    const serving = new Promise<void>((resolve) => {
      this.#whenServing = resolve;
    });
    this.#reconcile();
    return serving;
  }

  list(): WorkerView[] {
    return [...this.#members].map(({ process, incarnation, state }) => ({
      pid: process.pid,
      incarnation,
      state,
      connections: this.#options.heldBy(incarnation),
    }));
  }

  health(): SupervisorHealth {
    const count = (state: WorkerState) => [...this.#members].filter((member) => member.state === state).length;
    return {
      desired: this.#desired,
      serving: count('serving'),
      starting: count('starting'),
      draining: count('draining'),
      crashes: this.#backoff.crashes,
      restartInMs: this.#backoff.restartInMs,
      lastCrash: this.#backoff.lastCrash,
    };
  }

  /**
   * Replaces every worker that serves now, one at a time, each after its successor accepts. Resolves with how many were
   * replaced; they may still be draining.
   * @throws EDGE_ERR_BUSY while a roll or a stop is under way
   * @throws EDGE_ERR_WORKER_START when a successor fails: the workers that were not replaced yet serve on
   */
  async roll(): Promise<number> {
    if (this.#stopping !== null) throw new EdgeError('EDGE_ERR_BUSY', 'the proxy is stopping');
    if (this.#rolling) throw new EdgeError('EDGE_ERR_BUSY', 'a roll is under way; wait for it to end');
    this.#rolling = true;
    try {
      let replaced = 0;
      for (const member of [...this.#members]) {
        // One that died meanwhile was replaced by a new one already; one that leaves is being replaced.
        if (!this.#members.has(member) || member.leaving || member.state === 'draining') continue;
        await this.#replace(member);
        replaced++;
      }
      this.#options.log.info({ replaced }, 'roll finished');
      return replaced;
    } finally {
      this.#rolling = false;
    }
  }

  /** Sets the desired number of workers: missing ones start, surplus ones drain, those that do not accept yet and then the least busy first. */
  scale(count: number): void {
    if (this.#stopping !== null) throw new EdgeError('EDGE_ERR_BUSY', 'the proxy is stopping');
    this.#options.log.info({ from: this.#desired, to: count }, 'scaling workers');
    this.#desired = count;
    this.#reconcile();
    this.#announceServing();
  }

  get desired(): number {
    return this.#desired;
  }

  /** Drains every worker; resolves when none is left. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#stopping = resolve;
      this.#backoff.cancel();
      for (const member of this.#members) this.#drain(member);
      if (this.#members.size === 0) resolve();
    });
  }

  /** Ends every worker at once. */
  killAll(): void {
    for (const member of this.#members) member.process.kill('stopped at once');
  }

  #active(): Member[] {
    return [...this.#members].filter((member) => !member.leaving && member.state !== 'draining');
  }

  #reconcile(): void {
    if (this.#stopping !== null) return;
    const active = this.#active();
    if (active.length >= this.#desired) {
      this.#backoff.cancel();
      const heldBy = (member: Member) => this.#options.heldBy(member.incarnation);
      // Those that serve nobody yet go first: what stays accepts already.
      const serves = (member: Member) => Number(member.state === 'serving');
      const dispensable = active.sort((a, b) => serves(a) - serves(b) || heldBy(a) - heldBy(b));
      for (const member of dispensable.slice(0, active.length - this.#desired)) this.#drain(member);
      return;
    }
    if (this.#backoff.pending) return;
    const start = () => {
      // One at a time while they crash: the next one waits in its turn.
      this.#launch(null);
      if (this.#active().length < this.#desired) this.#reconcile();
    };
    const heldBack = this.#backoff.holdBack(this.#options.boundary.guard('worker', start));
    if (heldBack) return;
    for (let i = active.length; i < this.#desired; i++) this.#launch(null);
  }

  /** Starts a successor and, once it accepts, drains `member`. */
  async #replace(member: Member): Promise<void> {
    member.leaving = true;
    const successor = this.#launch(member);
    await successor.accepted;
    this.#drain(member);
  }

  #launch(replaces: Member | null): { accepted: Promise<void> } {
    const incarnation = ++this.#incarnations;
    let settleStart: Member['settleStart'] = () => {};
    const accepted = new Promise<void>((resolve, reject) => {
      settleStart = (error) => (error === null ? resolve() : reject(error));
    });
    // Only a roll waits for it; a crash at the start is handled where the exit is.
    accepted.catch(() => {});
    const process = this.#options.launcher.launch(incarnation, {
      accepting: () => this.#accepting(member),
      retiring: () => this.#retiring(member),
      exited: (exit) => this.#exited(member, exit),
    });
    const member: Member = {
      incarnation,
      process,
      state: 'starting',
      servingSince: 0,
      leaving: false,
      replaces,
      deadline: null,
      settleStart,
    };
    this.#within(member, START_TIMEOUT_MS, () => process.kill(`did not accept within ${START_TIMEOUT_MS} ms`));
    this.#members.add(member);
    this.#options.log.debug({ incarnation, worker: process.pid }, 'worker starting');
    return { accepted };
  }

  #accepting(member: Member): void {
    if (member.state !== 'starting') return;
    member.state = 'serving';
    member.servingSince = this.#options.clock.now();
    member.replaces = null;
    this.#within(member, STABLE_MS, () => {
      this.#backoff.stable();
      this.#reconcile();
    });
    this.#options.log.info({ incarnation: member.incarnation, worker: member.process.pid }, 'worker serving');
    member.settleStart(null);
    this.#options.shares.join(member.incarnation, (connections) => member.process.share(connections));
    this.#announceServing();
  }

  #announceServing(): void {
    const serving = [...this.#members].filter(({ state }) => state === 'serving').length;
    if (serving < this.#desired) return;
    this.#whenServing?.();
    this.#whenServing = null;
  }

  #retiring(member: Member): void {
    if (this.#stopping !== null || member.leaving || member.state !== 'serving') return;
    this.#options.log.info(
      { incarnation: member.incarnation, worker: member.process.pid },
      'worker asks to be replaced',
    );
    this.#replace(member).catch((error: EdgeError) => {
      // A stop ends the successor too, and drains this one anyway.
      if (this.#stopping !== null) return;
      this.#options.log.error(
        { code: error.code, reason: error.message },
        'worker could not be replaced; it serves on',
      );
    });
  }

  #drain(member: Member): void {
    if (member.state === 'draining' || !this.#members.has(member)) return;
    member.state = 'draining';
    this.#options.shares.leave(member.incarnation);
    const connections = this.#options.heldBy(member.incarnation);
    this.#options.log.info(
      { incarnation: member.incarnation, worker: member.process.pid, connections },
      'worker draining',
    );
    const patience = this.#options.drainTimeoutMs + DRAIN_GRACE_MS;
    this.#within(member, patience, () => member.process.kill(`did not exit within ${patience} ms of draining`));
    member.process.drain();
  }

  /** A member has one deadline: the one before is over. */
  #within(member: Member, ms: number, then: () => void): void {
    clearTimeout(member.deadline!);
    member.deadline = setTimeout(this.#options.boundary.guard('worker', then), ms);
  }

  #exited(member: Member, exit: WorkerExit): void {
    clearTimeout(member.deadline!);
    this.#members.delete(member);
    this.#options.shares.leave(member.incarnation);
    const { incarnation, process, state, replaces } = member;
    const what = exit.reason || (exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`);
    const fields = {
      incarnation,
      worker: process.pid,
      code: exit.code,
      signal: exit.signal,
      reason: what,
      cut: exit.cut,
    };
    if (state === 'draining' && exit.code === 0) this.#options.log.info(fields, 'worker drained');
    else this.#options.log.warn(fields, state === 'draining' ? 'worker ended while draining' : 'worker died');
    // Before anything counts the active ones: the predecessor stays after all.
    if (replaces !== null) replaces.leaving = false;
    member.settleStart(new EdgeError('EDGE_ERR_WORKER_START', `worker ${process.pid} did not come to accept: ${what}`));

    // A kill from outside says nothing about our code, and whoever kills workers wants to see them come back.
    const killed = exit.signal === 'SIGKILL' && exit.reason === '';
    if (state !== 'draining' && !killed) this.#crashed(member, what);
    if (this.#stopping !== null && this.#members.size === 0) this.#stopping();
    else this.#reconcile();
  }

  #crashed(member: Member, what: string): void {
    this.#backoff.crashed(what, member.state === 'serving' ? this.#options.clock.now() - member.servingSince : 0);
  }
}

// Runs in: primary
import { EdgeError } from '../errors.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { WorkerExit, WorkerLauncher, WorkerProcess } from './ports/worker-launcher.ts';
import { RestartBackoff } from './restart-backoff.ts';
import type { ShareClients } from './share-clients.ts';
import type { DrainView, RollResult, SupervisorHealth, WorkerState, WorkerView } from './worker-views.ts';

export type { DrainView, RollResult, SupervisorHealth, WorkerState, WorkerView } from './worker-views.ts';

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
  /** The roll that was the last one when it was started. */
  readonly generation: number;
  readonly startedAt: number;
  state: WorkerState;
  hasServed: boolean;
  /** Somebody is taking its place: it does not count towards the desired number. */
  leaving: boolean;
  /** It was asked, from outside, to go, before it had come to serve. */
  mayRetire: boolean;
  /** Whose place it takes, until it accepts. */
  replaces: Member | null;
  deadline: NodeJS.Timeout | null;
  /** While it drains: when it resets what is left, on the clock. */
  resetAt: number;
  settleStart: (outcome: boolean | EdgeError) => void;
}

/** Loading the code takes a fraction of a second; a start that takes so long hangs. In ms. */
const START_TIMEOUT_MS = 30_000;
/** What a draining worker gets beyond its deadline for its last reports. In ms. */
const DRAIN_GRACE_MS = 2_000;
/** For a worker that has not come to accept to hear that it need not: it holds nobody. In ms. */
const UNSTARTED_DRAIN_MS = 1_000;

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
  #generation = 0;
  #rolling = false;
  #reset = 0;
  #stopping = false;
  #whenGone: () => void = () => {};
  readonly #gone = new Promise<void>((resolve) => {
    this.#whenGone = resolve;
  });
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
    const now = this.#options.clock.now();
    return [...this.#members].map(({ process, incarnation, state, resetAt }) => ({
      pid: process.pid,
      incarnation,
      state,
      connections: this.#options.heldBy(incarnation),
      resetInMs: state === 'draining' ? Math.max(0, Math.ceil(resetAt - now)) : null,
    }));
  }

  drains(): DrainView {
    return { drainMs: this.#options.drainTimeoutMs, reset: this.#reset };
  }

  health(): SupervisorHealth {
    const count = (state: WorkerState) => [...this.#members].filter((member) => member.state === state).length;
    return {
      desired: this.#desired,
      serving: count('serving'),
      starting: count('starting'),
      draining: count('draining'),
      crashes: this.#backoff.crashes(this.#desired),
      restartInMs: this.#backoff.restartInMs,
      lastCrash: this.#backoff.lastCrash,
    };
  }

  /** Workers that died without having been asked to, since the start. */
  get deaths(): number {
    return this.#backoff.deaths;
  }

  /**
   * Replaces every worker that was started before it, one at a time, each after its successor accepts. Resolves when none
   * is left that does not drain; scaling meanwhile changes how many there are, and a stop ends it early.
   * @throws EDGE_ERR_BUSY while a roll or a stop is under way
   * @throws EDGE_ERR_WORKER_START when a successor fails: the workers that were not replaced yet serve on
   */
  async roll(): Promise<RollResult> {
    if (this.#stopping) throw new EdgeError('EDGE_ERR_BUSY', 'the proxy is stopping');
    if (this.#rolling) throw new EdgeError('EDGE_ERR_BUSY', 'a roll is under way; wait for it to end');
    this.#rolling = true;
    this.#generation++;
    const workers = this.#active().length;
    const connections = this.list().reduce((sum, worker) => sum + worker.connections, 0);
    this.#options.log.info({ workers, connections, ...this.drains() }, 'roll started');
    try {
      let replaced = 0;
      for (let old = this.#nextOld(); old !== undefined; old = this.#nextOld()) {
        if (await this.#replace(old)) replaced++;
      }
      const draining = this.list().filter((worker) => worker.resetInMs !== null && worker.connections > 0);
      const result: RollResult = {
        replaced,
        draining: draining.reduce((sum, worker) => sum + worker.connections, 0),
        resetInMs: Math.max(0, ...draining.map(({ resetInMs }) => resetInMs!)),
        stopping: this.#stopping,
      };
      this.#options.log.info({ ...result }, 'roll finished');
      return result;
    } finally {
      this.#rolling = false;
    }
  }

  /** Sets the desired number of workers: missing ones start, surplus ones drain, those that do not accept yet and then the least busy first. */
  scale(count: number): void {
    if (this.#stopping) throw new EdgeError('EDGE_ERR_BUSY', 'the proxy is stopping');
    if (count === this.#desired) return;
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
    this.#stopping = true;
    this.#backoff.cancel();
    for (const member of this.#members) this.#drain(member);
    if (this.#members.size === 0) this.#whenGone();
    return this.#gone;
  }

  /** Ends every worker at once; resolves when none is left. */
  killAll(): Promise<void> {
    const gone = this.stop();
    for (const member of this.#members) member.process.kill('stopped at once');
    return gone;
  }

  #active(): Member[] {
    return [...this.#members].filter((member) => !member.leaving && member.state !== 'draining');
  }

  /** The next one that a roll has to replace; one that leaves is being replaced. */
  #nextOld(): Member | undefined {
    return this.#active().find(({ generation }) => generation < this.#generation);
  }

  #reconcile(): void {
    if (this.#stopping) return;
    while (this.#active().length > this.#desired) this.#drain(this.#mostDispensable());
    const missing = this.#desired - this.#active().length;
    if (missing === 0) this.#backoff.cancel();
    if (missing === 0 || this.#backoff.pending) return;
    const start = () => {
      // One at a time while they crash: the next one waits in its turn.
      this.#launch(null);
      this.#reconcile();
    };
    if (this.#backoff.holdBack(this.#desired, this.#options.boundary.guard('worker', start))) return;
    for (let i = 0; i < missing; i++) this.#launch(null);
  }

  /**
   * Those that serve nobody yet go first, for what stays accepts already; then the least busy. While they are rolled, the
   * ones that the roll would replace go before all: behind each successor that starts, its predecessor serves.
   */
  #mostDispensable(): Member {
    const rank = ({ generation, state, incarnation }: Member) => [
      this.#rolling ? generation : 0,
      Number(state === 'serving'),
      this.#options.heldBy(incarnation),
    ];
    const [first] = this.#active().sort((a, b) => compare(rank(a), rank(b)));
    return first!;
  }

  /** Starts a successor and, once it accepts, drains `member`. `false`: it came to nothing, as fewer workers are wanted. */
  async #replace(member: Member): Promise<boolean> {
    member.leaving = true;
    if (!(await this.#launch(member))) return false;
    this.#drain(member);
    // Whom the drained one was to replace stays after all, and may be one too many.
    this.#reconcile();
    return true;
  }

  /** Resolves with whether it came to accept, or was drained before; rejects when it died before. */
  #launch(replaces: Member | null): Promise<boolean> {
    const incarnation = ++this.#incarnations;
    let settleStart: Member['settleStart'] = () => {};
    const accepted = new Promise<boolean>((resolve, reject) => {
      settleStart = (outcome) => (typeof outcome === 'boolean' ? resolve(outcome) : reject(outcome));
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
      generation: this.#generation,
      startedAt: this.#options.clock.now(),
      state: 'starting',
      hasServed: false,
      leaving: false,
      mayRetire: false,
      replaces,
      deadline: null,
      resetAt: 0,
      settleStart,
    };
    this.#within(member, START_TIMEOUT_MS, () => process.kill(`did not accept within ${START_TIMEOUT_MS} ms`));
    this.#members.add(member);
    this.#options.log.debug({ incarnation, worker: process.pid }, 'worker starting');
    return accepted;
  }

  #accepting(member: Member): void {
    // Its last words may come after its end.
    if (member.hasServed || !this.#members.has(member)) return;
    member.hasServed = true;
    if (member.state === 'draining') {
      // It had come to accept before it heard that it need not: whom it took has the time that everybody has.
      this.#withinDrain(member);
      return;
    }
    clearTimeout(member.deadline!);
    member.state = 'serving';
    member.replaces = null;
    this.#options.log.info({ incarnation: member.incarnation, worker: member.process.pid }, 'worker serving');
    member.settleStart(true);
    this.#options.shares.join(member.incarnation, (connections) => member.process.share(connections));
    this.#backoff.cameToServe(this.#desired);
    this.#reconcile();
    this.#announceServing();
    if (member.mayRetire) this.#retiring(member);
  }

  #announceServing(): void {
    const serving = [...this.#members].filter(({ state }) => state === 'serving').length;
    if (serving < this.#desired) return;
    this.#whenServing?.();
    this.#whenServing = null;
  }

  #retiring(member: Member): void {
    if (this.#stopping || member.leaving || member.state === 'draining') return;
    member.mayRetire = true;
    if (member.state === 'starting') return;
    this.#options.log.info(
      { incarnation: member.incarnation, worker: member.process.pid },
      'worker asks to be replaced',
    );
    this.#replace(member).catch((error: EdgeError) => {
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
    this.#withdraw(member, false);
    this.#withinDrain(member);
    this.#options.log.info(
      {
        incarnation: member.incarnation,
        worker: member.process.pid,
        connections: this.#options.heldBy(member.incarnation),
        resetInMs: this.#options.drainTimeoutMs,
      },
      'worker draining',
    );
    member.process.drain();
  }

  /** A successor that comes to nothing: its predecessor stays. */
  #withdraw(member: Member, outcome: false | EdgeError): void {
    if (member.replaces !== null) member.replaces.leaving = false;
    member.replaces = null;
    member.settleStart(outcome);
  }

  #withinDrain(member: Member): void {
    const patience = member.hasServed ? this.#options.drainTimeoutMs + DRAIN_GRACE_MS : UNSTARTED_DRAIN_MS;
    member.resetAt = this.#options.clock.now() + (member.hasServed ? this.#options.drainTimeoutMs : 0);
    this.#within(member, patience, () => member.process.kill(`did not exit within ${patience} ms of draining`));
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
    const { incarnation, process, state } = member;
    const { code, signal, cut } = exit;
    const reason = exit.reason || (signal === null ? `exit code ${code}` : `signal ${signal}`);
    // Before anything counts the active ones.
    this.#withdraw(
      member,
      new EdgeError('EDGE_ERR_WORKER_START', `worker ${process.pid} did not come to accept: ${reason}`),
    );
    if (state === 'draining') this.#reset += cut;
    else this.#backoff.died(reason, member.startedAt, member.hasServed, this.#desired);
    try {
      const fields = { incarnation, worker: process.pid, code, signal, reason, cut };
      if (state === 'draining' && code === 0) this.#options.log.info(fields, 'worker drained');
      else this.#options.log.warn(fields, state === 'draining' ? 'worker ended while draining' : 'worker died');
    } finally {
      if (this.#stopping && this.#members.size === 0) this.#whenGone();
      else this.#reconcile();
    }
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value - b[i]!;
  return 0;
}

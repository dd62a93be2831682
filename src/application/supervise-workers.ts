// Runs in: primary
import { EdgeError } from '../errors.ts';
import type { ConnectionCaps } from './connection-caps.ts';
import { Crew, type Member, named } from './crew.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { WorkerEvents, WorkerExit, WorkerLauncher } from './ports/worker-launcher.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { RollWorkers } from './roll-workers.ts';
import type { DrainView, RollResult, SupervisorHealth, WorkerView } from './worker-views.ts';

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
  readonly caps: ConnectionCaps;
  readonly boundary: Boundary;
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
  readonly #crew: Crew;
  readonly #backoff: RestartBackoff;
  readonly #roll: RollWorkers;
  #desired: number;
  #incarnations = 0;
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
    this.#crew = new Crew(options.heldBy);
    this.#roll = new RollWorkers({
      crew: this.#crew,
      log: options.log,
      list: () => this.list(),
      drains: () => this.drains(),
      replace: (member) => this.#replace(member),
      isStopping: () => this.#stopping,
    });
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
    return this.#crew.list(this.#options.clock.now());
  }

  drains(): DrainView {
    return { drainMs: this.#options.drainTimeoutMs, reset: this.#reset };
  }

  health(): SupervisorHealth {
    return {
      desired: this.#desired,
      serving: this.#crew.count('serving'),
      starting: this.#crew.count('starting'),
      draining: this.#crew.count('draining'),
      crashes: this.#backoff.crashes(this.#desired),
      restartInMs: this.#backoff.restartInMs,
      lastCrash: this.#backoff.lastCrash,
      isOtherOnDisk: this.#options.launcher.isOtherOnDisk,
    };
  }

  /** Workers that died without having been asked to, since the start. */
  get deaths(): number {
    return this.#backoff.deaths;
  }

  /** See `RollWorkers`. */
  roll(): Promise<RollResult> {
    return this.#roll.run();
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
    for (const member of this.#crew) this.#drain(member);
    if (this.#crew.size === 0) this.#whenGone();
    return this.#gone;
  }

  /** Ends every worker at once; resolves when none is left. */
  killAll(): Promise<void> {
    const gone = this.stop();
    for (const member of this.#crew) member.process.kill('stopped at once');
    return gone;
  }

  #reconcile(): void {
    if (this.#stopping) return;
    while (this.#crew.active().length > this.#desired) this.#drain(this.#crew.mostDispensable(this.#roll.isRolling)!);
    const missing = this.#desired - this.#crew.active().length;
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
    const events: WorkerEvents = {
      accepting: () => this.#accepting(member),
      retiring: () => this.#retiring(member),
      exited: (exit) => this.#exited(member, exit),
    };
    // A roll brings new code; between rolls workers are of one release, whoever has to be replaced.
    const fresh = this.#roll.isRolling;
    const process = this.#options.launcher.launch(incarnation, events, fresh);
    const member: Member = {
      incarnation,
      process,
      generation: this.#roll.generation,
      startedAt: this.#options.clock.now(),
      fresh,
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
    this.#crew.add(member);
    this.#options.log.debug(named(member), 'worker starting');
    return accepted;
  }

  #accepting(member: Member): void {
    // Its last words may come after its end.
    if (member.hasServed || !this.#crew.has(member)) return;
    member.hasServed = true;
    if (member.state === 'draining') {
      // It had come to accept before it heard that it need not: whom it took has the time that everybody has.
      this.#withinDrain(member);
      return;
    }
    clearTimeout(member.deadline!);
    member.state = 'serving';
    member.replaces = null;
    if (member.fresh) this.#options.launcher.takeUp();
    this.#options.log.info(named(member), 'worker serving');
    member.settleStart(true);
    this.#options.caps.join(member.incarnation, (connections) => member.process.cap(connections));
    this.#backoff.cameToServe(this.#desired);
    this.#reconcile();
    this.#announceServing();
    if (member.mayRetire) this.#retiring(member);
  }

  #announceServing(): void {
    if (this.#crew.count('serving') < this.#desired) return;
    this.#whenServing?.();
    this.#whenServing = null;
  }

  #retiring(member: Member): void {
    if (this.#stopping || member.leaving || member.state === 'draining') return;
    member.mayRetire = true;
    if (member.state === 'starting') return;
    this.#options.log.info(named(member), 'worker asks to be replaced');
    this.#replace(member).catch((error: EdgeError) => {
      this.#options.log.error(
        { code: error.code, reason: error.message },
        'worker could not be replaced; it serves on',
      );
    });
  }

  #drain(member: Member): void {
    if (member.state === 'draining' || !this.#crew.has(member)) return;
    member.state = 'draining';
    this.#options.caps.leave(member.incarnation);
    this.#withdraw(member, false);
    this.#withinDrain(member);
    const connections = this.#options.heldBy(member.incarnation);
    const fields = { ...named(member), connections, resetInMs: this.#options.drainTimeoutMs };
    this.#options.log.info(fields, 'worker draining');
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
    this.#crew.delete(member);
    this.#options.caps.leave(member.incarnation);
    const { process, state } = member;
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
      const fields = { ...named(member), code, signal, reason, cut };
      if (state === 'draining' && code === 0) this.#options.log.info(fields, 'worker drained');
      else this.#options.log.warn(fields, state === 'draining' ? 'worker ended while draining' : 'worker died');
    } finally {
      if (this.#stopping && this.#crew.size === 0) this.#whenGone();
      else this.#reconcile();
    }
  }
}

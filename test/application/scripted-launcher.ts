import type { WorkerEvents, WorkerExit, WorkerLauncher } from '../../src/application/ports/worker-launcher.ts';

/** A process that does what the test says. */
export class ScriptedWorker {
  readonly pid: number;
  readonly incarnation: number;
  readonly events: WorkerEvents;
  readonly #journal: string[];
  drained = false;
  killed = '';
  /** 0: all of them. */
  connectionCap = 0;

  constructor(incarnation: number, events: WorkerEvents, journal: string[]) {
    this.pid = 1000 + incarnation;
    this.incarnation = incarnation;
    this.events = events;
    this.#journal = journal;
  }

  accepts(): void {
    this.#journal.push(`${this.incarnation} accepts`);
    this.events.accepting();
  }

  exits({ code = 0, signal = null, reason = '', cut = 0 }: Partial<WorkerExit> = {}): void {
    this.#journal.push(`${this.incarnation} exits`);
    this.events.exited({ code: signal === null ? code : null, signal, reason, cut });
  }

  cap(connections: number): void {
    this.connectionCap = connections;
  }

  drain(): void {
    this.drained = true;
    this.#journal.push(`${this.incarnation} drains`);
  }

  kill(reason: string): void {
    this.killed = reason;
    this.#journal.push(`${this.incarnation} killed`);
  }
}

/** Launches processes that do nothing by themselves, and writes down what happens to them. */
export class ScriptedLauncher implements WorkerLauncher {
  readonly journal: string[] = [];
  readonly workers: ScriptedWorker[] = [];

  /** Incarnations that were started from what is on disk. */
  readonly fresh: number[] = [];
  takenUp = 0;
  readonly isOtherOnDisk = false;

  takeUp(): void {
    this.takenUp++;
  }

  launch(incarnation: number, events: WorkerEvents, fresh: boolean): ScriptedWorker {
    if (fresh) this.fresh.push(incarnation);
    const worker = new ScriptedWorker(incarnation, events, this.journal);
    this.journal.push(`${incarnation} starts`);
    this.workers.push(worker);
    return worker;
  }

  /** By incarnation, from 1. */
  worker(incarnation: number): ScriptedWorker {
    const worker = this.workers[incarnation - 1];
    if (worker === undefined) throw new Error(`worker ${incarnation} was not started; ${this.journal.join(', ')}`);
    return worker;
  }

  /** What happened since the last call. */
  told(): string[] {
    return this.journal.splice(0);
  }
}

// Runs in: primary
import type { PickAnswer, PickRequest } from './ports/backend-picker.ts';
import type { Boundary } from './ports/boundary.ts';
import type { Clock } from './ports/clock.ts';
import type { ProxyService } from './proxy-service.ts';

/** A worker, as far as its picks go. */
export interface DeskWorker {
  readonly incarnation: number;
  /** Since it was heard of last, in ms; 0 while that is as usual. */
  readonly silentMs: number;
  /** `null`: the request is not one that it may make. One of this and `failed` for each pick, unless it left before. */
  answer(seq: number, answer: PickAnswer | null): void;
  /** The answer does not come in this turn, but within so many ms. */
  waits(seq: number, ms: number): void;
  /** A defect of ours. */
  failed(seq: number, error: unknown): void;
  /** Asks it to report all that its sockets have to tell, and to say so then: `synced`. */
  sync(round: number): void;
  /** Sends what it was told in this turn. */
  flush(): void;
}

export type SilentWorker = Pick<DeskWorker, 'incarnation' | 'silentMs'>;

export interface PickDeskOptions {
  readonly service: ProxyService;
  readonly boundary: Boundary;
  readonly clock: Clock;
  /** Slots that a worker holds. */
  readonly heldBy: (incarnation: number) => number;
  /** In ms, > 0. Default: 500. */
  readonly patienceMs?: number;
}

interface Question {
  readonly worker: DeskWorker;
  readonly request: PickRequest;
  readonly since: number;
}

/** Workers that were asked at one time, and the picks that wait for their answers. */
interface Round {
  readonly number: number;
  questions: Question[];
  readonly asked: Set<DeskWorker>;
  readonly timer: NodeJS.Timeout;
}

/** Workers answer in a millisecond or two. This is for one that hangs, on a machine that may be busy. */
const PATIENCE_MS = 500;

/** Picks that may wait; further ones are decided by what is known. */
const MAX_WAITING = 4096;

/**
 * Decides picks by what is so, and not by what was reported first. A client that comes again as soon as it is done may
 * come by another worker, whose question overtakes the report of its end. So:
 *
 * - The picks of one turn of the loop are decided at its end, after all reports that came in it.
 * - A pick that a full backend stands in the way of waits until every worker that holds slots has told what its sockets
 *   know: what a client did before it came is known then. Picks that wait are decided in the order in which they came,
 *   and nobody takes a slot of a backend with a limit before them.
 *
 * One round of questions is under way at a time, so that a crowd before a full backend costs no more of them. A worker
 * that does not answer one is not waited for again until it does.
 */
export class PickDesk {
  readonly #options: PickDeskOptions;
  readonly #patienceMs: number;
  readonly #workers = new Set<DeskWorker>();
  /** The round whose answer a worker owes since its patience was over. */
  readonly #late = new Map<DeskWorker, number>();
  #fresh: Question[] = [];
  #waiting: Question[] = [];
  #round: Round | null = null;
  #rounds = 0;
  /** Those who are told something in this turn. */
  readonly #told = new Set<DeskWorker>();
  #turn: NodeJS.Immediate | null = null;

  constructor(options: PickDeskOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** Picks that wait for workers to tell what they know. */
  get waiting(): number {
    return this.#waiting.length + (this.#round?.questions.length ?? 0);
  }

  /** Workers that are heard of later than usual. */
  silent(): SilentWorker[] {
    const silent = [...this.#workers].filter(({ silentMs }) => silentMs > 0);
    return silent.map(({ incarnation, silentMs }) => ({ incarnation, silentMs }));
  }

  join(worker: DeskWorker): void {
    this.#workers.add(worker);
  }

  /** The worker is gone: nothing is asked of it any more, and its picks are not answered. The service hears of them. */
  leave(worker: DeskWorker): void {
    if (!this.#workers.delete(worker)) return;
    const unanswered = this.#forget((question) => question.worker === worker);
    for (const { request, since } of unanswered)
      this.#options.service.leftUnanswered(worker.incarnation, request, since);
    this.#late.delete(worker);
    if (this.#round?.asked.delete(worker)) this.#wantTurn();
  }

  /** The answer comes at the end of this turn, or of a later one. */
  pick(worker: DeskWorker, request: PickRequest, now: number): void {
    this.#fresh.push({ worker, request, since: now });
    this.#wantTurn();
  }

  /** The worker gave `seq` up, or its client left: what was not answered yet is not answered any more. */
  withdraw(worker: DeskWorker, seq: number): void {
    this.#forget((question) => question.worker === worker && question.request.seq === seq);
  }

  /** The answer to `sync(round)`: all that the worker knew then was reported before. `false`: it was not asked. */
  synced(worker: DeskWorker, round: number): boolean {
    if (this.#late.get(worker) === round) {
      this.#late.delete(worker);
      return true;
    }
    if (this.#round?.number !== round || !this.#round.asked.delete(worker)) return false;
    if (this.#round.asked.size === 0) this.#wantTurn();
    return true;
  }

  #forget(isForgotten: (question: Question) => boolean): Question[] {
    const forgotten: Question[] = [];
    const stays = (question: Question) => {
      if (!isForgotten(question)) return true;
      forgotten.push(question);
      return false;
    };
    this.#fresh = this.#fresh.filter(stays);
    // Those that were looked at have been counted.
    for (const { request } of forgotten) this.#options.service.came(request);
    this.#waiting = this.#waiting.filter(stays);
    if (this.#round !== null) this.#round.questions = this.#round.questions.filter(stays);
    return forgotten;
  }

  #wantTurn(): void {
    this.#turn ??= setImmediate(this.#takeTurn);
  }

  readonly #takeTurn = (): void => {
    this.#turn = null;
    this.#options.boundary.run('client', () => this.#decide());
  };

  #decide(): void {
    const told = this.#told;
    const now = this.#options.clock.now();
    if (this.#round?.asked.size === 0) {
      const { questions, timer } = this.#round;
      clearTimeout(timer);
      this.#round = null;
      for (const question of questions) this.#answer(question, 'last', now);
    }
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const question of fresh) {
      const look = this.waiting < MAX_WAITING ? 'first' : 'only';
      if (this.#answer(question, look, now)) continue;
      this.#waiting.push(question);
      // For the round that is under way, and its own.
      question.worker.waits(question.request.seq, 2 * this.#patienceMs);
    }
    if (this.#round === null && this.#waiting.length > 0) this.#ask();
    for (const worker of told) worker.flush();
    told.clear();
  }

  /** `false`: it is not to be answered yet. */
  #answer(question: Question, look: 'only' | 'first' | 'last', now: number): boolean {
    const { worker, request } = question;
    this.#told.add(worker);
    try {
      const { service } = this.#options;
      const answer = service.pick(worker.incarnation, request, now, look, this.waiting > 0);
      if (answer === 'unsure') return false;
      worker.answer(request.seq, answer);
    } catch (error) {
      worker.failed(request.seq, error);
    }
    return true;
  }

  #ask(): void {
    const number = ++this.#rounds;
    const asked = new Set<DeskWorker>();
    for (const worker of this.#workers) {
      if (this.#late.has(worker) || this.#options.heldBy(worker.incarnation) === 0) continue;
      asked.add(worker);
      this.#told.add(worker);
      worker.sync(number);
    }
    // Answers that lie unread when this process was itself held up are read before the turn's end.
    const timer = setTimeout(() => setImmediate(() => this.#giveUp(number)), this.#patienceMs).unref();
    this.#round = { number, questions: this.#waiting, asked, timer };
    this.#waiting = [];
    if (asked.size === 0) this.#wantTurn();
  }

  #giveUp(number: number): void {
    if (this.#round?.number !== number) return;
    for (const worker of this.#round.asked) this.#late.set(worker, number);
    this.#round.asked.clear();
    this.#wantTurn();
  }
}

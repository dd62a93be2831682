// Runs in: one process that is primary and worker at once (tests, benchmarks)
import type {
  Asker,
  BackendPicker,
  ClosedReport,
  PickAnswer,
  PickRequest,
  UnservedReport,
} from '../../application/ports/backend-picker.ts';
import type { Clock } from '../../application/ports/clock.ts';
import type { ProxyService } from '../../application/proxy-service.ts';
import type { FailedDial } from '../../domain/blame.ts';
import type { RefusalReason } from '../../domain/entities.ts';

/** A BackendPicker without a channel: asks the use case in the same process. Reports take effect at once. */
export class InProcessPicker implements BackendPicker {
  readonly #service: ProxyService;
  readonly #incarnation: number;
  readonly #clock: Clock;
  /** Picks whose answer is to come. */
  readonly #asked = new Set<number>();

  constructor(service: ProxyService, incarnation: number, clock: Clock) {
    this.#service = service;
    this.#incarnation = incarnation;
    this.#clock = clock;
    service.workerJoined(incarnation);
  }

  pick(request: PickRequest, asker: Asker): void {
    const { seq } = request;
    const answer = kept(this.#service.pick(this.#incarnation, request, this.#clock.now()));
    this.#asked.add(seq);
    queueMicrotask(() => {
      if (this.#asked.delete(seq)) asker.answered(seq, answer ?? { kind: 'refused', reason: 'no_backend' });
      else this.#service.abandoned(this.#incarnation, seq, this.#clock.now());
    });
  }

  cancel(seq: number): RefusalReason {
    this.#asked.delete(seq);
    return 'client_left';
  }

  connected(seq: number, rttMs: number): void {
    this.#service.connected(this.#incarnation, seq, rttMs, this.#clock.now());
  }

  connectFailed(seq: number, failure: Omit<FailedDial, 'backend'>, again: boolean): void {
    this.#service.connectFailed(this.#incarnation, seq, failure, again, this.#clock.now());
  }

  closed(seq: number, report: ClosedReport): void {
    this.#service.closed(this.#incarnation, seq, report, this.#clock.now());
  }

  unserved(report: UnservedReport): void {
    this.#service.unserved(this.#incarnation, report, this.#clock.now());
  }

  /** Nobody asks. */
  synced(): void {}

  flush(): void {}
}

/** The service gives its next answer in the same object, and this one is told later. */
function kept(answer: PickAnswer | null): PickAnswer | null {
  if (answer?.kind !== 'assigned') return answer;
  const { host, port } = answer.endpoint;
  return { ...answer, endpoint: { host, port } };
}

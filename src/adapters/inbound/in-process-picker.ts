// Runs in: one process that is primary and worker at once (tests, benchmarks)
import type {
  BackendPicker,
  ClosedReport,
  PickAnswer,
  PickRequest,
  UnservedReport,
} from '../../application/ports/backend-picker.ts';
import type { ProxyService } from '../../application/proxy-service.ts';
import type { FailedDial } from '../../domain/blame.ts';
import { parseAddress } from '../../ip-address.ts';

/** A BackendPicker without a channel: asks the use case in the same process. Reports take effect at once. */
export class InProcessPicker implements BackendPicker {
  readonly #service: ProxyService;
  readonly #incarnation: number;

  constructor(service: ProxyService, incarnation: number) {
    this.#service = service;
    this.#incarnation = incarnation;
    service.workerJoined(incarnation);
  }

  pick(request: PickRequest, done: (answer: PickAnswer) => void): void {
    const address = parseAddress(request.address);
    const answer = address === null ? null : this.#service.pick(this.#incarnation, request, address);
    queueMicrotask(() => done(answer ?? { kind: 'refused', reason: 'no_backend' }));
  }

  connected(seq: number, rttMs: number): void {
    this.#service.connected(this.#incarnation, seq, rttMs);
  }

  connectFailed(seq: number, failure: Omit<FailedDial, 'backend'>, again: boolean): void {
    this.#service.connectFailed(this.#incarnation, seq, failure, again);
  }

  closed(seq: number, report: ClosedReport): void {
    this.#service.closed(this.#incarnation, seq, report);
  }

  unserved(report: UnservedReport): void {
    const address = parseAddress(report.address);
    if (address !== null) this.#service.unserved(this.#incarnation, report, address);
  }

  /** Nobody asks. */
  synced(): void {}

  flush(): void {}
}

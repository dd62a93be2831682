// Runs in: primary
import type { DeskWorker, PickDesk } from '../../application/pick-desk.ts';
import type { PickAnswer } from '../../application/ports/backend-picker.ts';
import type { Boundary } from '../../application/ports/boundary.ts';
import type { Clock } from '../../application/ports/clock.ts';
import type { ProxyService } from '../../application/proxy-service.ts';
import type { FailedDial } from '../../domain/blame.ts';
import { ClientAddress } from '../../domain/client-address.ts';
import { isGivenUp } from '../../domain/refusals.ts';
import { messageOf } from '../../errors.ts';
import { BackendNumbers } from '../../ipc/backend-numbers.ts';
import type { ByteLink } from '../../ipc/byte-link.ts';
import { Channel } from '../../ipc/channel.ts';
import { type Beat, Heartbeat } from '../../ipc/heartbeat.ts';
import {
  type ConnectFailedMessage,
  type DialTuple,
  FromPrimary,
  FromWorker,
  type PickAgainMessage,
  PROTOCOL,
  type PrimaryMessage,
  type UnservedMessage,
  type WorkerMessage,
} from '../../ipc/messages.ts';
import {
  type ClosedRecord,
  type ConnectedRecord,
  RecordKind,
  readClosed,
  readConnected,
  readPick,
  writeAssigned,
} from '../../ipc/records.ts';
import { isWorkerMessage } from '../../ipc/validate.ts';

export interface WorkerSessionOptions {
  readonly link: ByteLink;
  readonly incarnation: number;
  readonly service: ProxyService;
  readonly desk: PickDesk;
  readonly boundary: Boundary;
  readonly clock: Clock;
  /** A worker that said hello and then says nothing for so long hangs. In ms. */
  readonly heartbeatTimeoutMs: number;
  /** The worker said hello and may be given listening sockets. */
  readonly onWelcome: () => void;
  /** The worker must be ended: it is silent, or speaks another protocol, or sent what is no frame. */
  readonly onFailure: (reason: string) => void;
  /** Slots may have been taken or given back. */
  readonly onBooked: () => void;
  /** Messages that were malformed, or about leases that are not there; they changed nothing. */
  readonly onDropped: (count: number) => void;
}

/** The primary's end of one worker's channel: its messages become calls of the use case, the answers one frame. */
export class WorkerSession implements DeskWorker {
  readonly #options: WorkerSessionOptions;
  readonly #channel: Channel<WorkerMessage, PrimaryMessage>;
  readonly #heartbeat: Heartbeat;
  readonly #closed: Promise<void>;
  readonly #numbers = new BackendNumbers((...told) => this.#channel.push([FromPrimary.backend, ...told]));
  readonly #connected: ConnectedRecord = { seq: 0, rttMs: 0 };
  readonly #report: ClosedRecord = { ...NO_REPORT };
  #welcome = false;
  #over = false;
  #cut = 0;
  /** Of the turn in which messages are heard. */
  #now = 0;
  #dropped = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
    let closed = () => {};
    this.#closed = new Promise((resolve) => {
      closed = resolve;
    });
    this.#channel = new Channel(options.link, isWorkerMessage, {
      onTurn: () => {
        this.#dropped = 0;
        this.#now = options.clock.now();
        this.#heartbeat.heard();
      },
      onMessage: (message) => this.#hear(message, null, 0),
      onRecord: (view, at) => this.#hear(null, view, at),
      onTurnEnd: (malformed) => this.#onTurnEnd(malformed),
      onClose: options.boundary.guard('worker', (error) => {
        closed();
        if (error !== undefined) options.onFailure(error.message);
      }),
    });
    this.#heartbeat = new Heartbeat({
      timeoutMs: options.heartbeatTimeoutMs,
      onBeat: (beat) => this.#beat(beat),
      failed: (error) => options.boundary.failed('worker', error),
    });
  }

  /**
   * The process is gone, and with it its sockets: only now may its slots go to others, for a channel is closed some
   * microseconds before the rest, and a backend could meet its next connection while it still has the last. Resolves with
   * how many connections that cut, once what the worker had still said is heard (its channel has come to its end) or
   * `patienceMs` has passed; no later report of it changes the books.
   */
  async processGone(patienceMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([this.#closed, patience]);
    clearTimeout(timer);
    this.#end();
    this.#channel.destroy();
    return this.#cut;
  }

  /** Tells the worker how many connections it may hold before it leaves further clients to the others. */
  cap(connections: number): void {
    this.#channel.send([FromPrimary.cap, connections]);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#heartbeat.stop();
    const { boundary, desk, service, incarnation } = this.#options;
    boundary.run('worker', () => desk.leave(this));
    this.#cut = boundary.run('worker', () => service.workerLeft(incarnation)) ?? 0;
  }

  #beat({ isSilent }: Beat): void {
    // Before its hello it is loading its code: the supervisor's deadline for starting holds.
    if (!this.#welcome) return;
    if (isSilent) this.#options.onFailure(`said nothing for ${this.#options.heartbeatTimeoutMs} ms`);
    else this.#channel.send([FromPrimary.heartbeat]);
  }

  /** A defect that one client met: the others of its frame are served. */
  #hear(message: WorkerMessage | null, view: DataView | null, at: number): void {
    if (this.#over) return;
    try {
      const counts = view === null ? this.#onMessage(message!) : this.#welcome && this.#onRecord(view, at);
      if (!counts) this.#dropped++;
    } catch (error) {
      this.#options.boundary.failed('client', error);
    }
  }

  #onTurnEnd(malformed: number): void {
    const { boundary, onDropped, onBooked } = this.#options;
    if (this.#over) return;
    const dropped = this.#dropped + malformed;
    if (dropped > 0) boundary.run('worker', () => onDropped(dropped));
    boundary.run('worker', onBooked);
  }

  get silentMs(): number {
    return this.#heartbeat.silentMs;
  }

  get incarnation(): number {
    return this.#options.incarnation;
  }

  answer(seq: number, answer: PickAnswer | null): void {
    if (answer === null) {
      this.#options.onDropped(1);
    } else if (answer.kind === 'refused') {
      this.#channel.push([FromPrimary.refused, seq, answer.reason]);
    } else {
      const { backendId, endpoint, why, contended } = answer;
      const number = this.#numbers.numberOf(backendId, endpoint.host, endpoint.port);
      writeAssigned(this.#channel.records, seq, number, why, contended);
    }
  }

  waits(seq: number, ms: number): void {
    this.#channel.push([FromPrimary.waits, seq, ms]);
  }

  /** The client is told, and holds nothing. */
  failed(seq: number, error: unknown): void {
    const { boundary, service, incarnation } = this.#options;
    boundary.failed('client', error);
    boundary.run('client', () => service.abandoned(incarnation, seq, this.#options.clock.now()));
    this.#channel.push([FromPrimary.refused, seq, 'internal_error']);
  }

  sync(round: number): void {
    this.#channel.push([FromPrimary.sync, round]);
  }

  /** What one turn has to say travels together. */
  flush(): void {
    this.#options.boundary.run('worker', this.#options.onBooked);
    try {
      this.#channel.flush();
    } catch (error) {
      this.#options.boundary.failed('worker', error);
      // The slots that those answers gave would be held by nobody; with the worker they come back.
      this.#options.onFailure(`could not be answered: ${messageOf(error)}`);
    }
  }

  /** `false`: it changed nothing. */
  #onMessage(message: WorkerMessage): boolean {
    const { service, incarnation } = this.#options;
    if (!this.#welcome) return message[0] === FromWorker.hello && this.#hello(message[1], message[2]);
    switch (message[0]) {
      case FromWorker.heartbeat:
        return true;
      case FromWorker.pickAgain:
        return this.#pickAgain(message);
      case FromWorker.connectFailed:
        return this.#connectFailed(message);
      case FromWorker.abandoned:
        service.abandoned(incarnation, message[1], this.#now);
        return true;
      case FromWorker.unserved:
        return this.#unserved(message);
      case FromWorker.synced:
        return this.#options.desk.synced(this, message[1]);
      case FromWorker.hello:
        return false;
    }
  }

  #onRecord(view: DataView, at: number): boolean {
    const { service, desk, incarnation } = this.#options;
    switch (view.getUint8(at)) {
      case RecordKind.pick: {
        const pick = readPick(view, at);
        if (pick !== null) desk.pick(this, pick, this.#now);
        return pick !== null;
      }
      case RecordKind.connected:
        if (!readConnected(view, at, this.#connected)) return false;
        return service.connected(incarnation, this.#connected.seq, this.#connected.rttMs, this.#now);
      case RecordKind.closed:
        if (!readClosed(view, at, this.#report)) return false;
        return service.closed(incarnation, this.#report.seq, this.#report, this.#now);
      default:
        return false;
    }
  }

  #hello(protocol: number, incarnation: number): boolean {
    if (protocol !== PROTOCOL || incarnation !== this.#options.incarnation) {
      const reason =
        protocol === PROTOCOL
          ? `it calls itself incarnation ${incarnation}, but it is ${this.#options.incarnation}`
          : `it speaks protocol ${protocol} and the primary ${PROTOCOL}: stop and start the proxy to change the version`;
      this.#channel.send([FromPrimary.denied, reason]);
      this.#options.onFailure(reason);
      return false;
    }
    this.#welcome = true;
    this.#options.service.workerJoined(incarnation);
    this.#options.desk.join(this);
    this.#channel.send([FromPrimary.welcome, PROTOCOL]);
    this.#options.onWelcome();
    return true;
  }

  #pickAgain([, seq, listener, bytes, tried]: PickAgainMessage): boolean {
    const address = ClientAddress.of(bytes);
    this.#options.desk.pick(this, { seq, listener, address, tried: tried.map(asDial) }, this.#now);
    return true;
  }

  #connectFailed([, seq, code, ms, ours, again]: ConnectFailedMessage): boolean {
    return this.#options.service.connectFailed(this.#options.incarnation, seq, { code, ms, ours }, again, this.#now);
  }

  #unserved([, seq, listener, bytes, reason, totalMs, tried]: UnservedMessage): boolean {
    const { desk, service, incarnation } = this.#options;
    // Nobody waits for the answer, which would take a slot for nobody.
    if (isGivenUp(reason)) desk.withdraw(this, seq);
    const address = ClientAddress.of(bytes);
    const report = { seq, listener, address, reason, totalMs, tried: tried.map(asDial) };
    return service.unserved(incarnation, report, this.#now);
  }
}

const NO_REPORT: ClosedRecord = {
  seq: 0,
  reason: 'finished',
  connected: false,
  attempts: 0,
  bytesToBackend: 0,
  bytesToClient: 0,
  pickMs: 0,
  connectMs: 0,
  totalMs: 0,
};

function asDial([backend, code, ms, ours]: DialTuple): FailedDial {
  return { backend, code, ms, ours };
}

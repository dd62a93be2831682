// Runs in: primary
import type { Duplex } from 'node:stream';
import type { DeskWorker, PickDesk } from '../../application/pick-desk.ts';
import type { PickAnswer } from '../../application/ports/backend-picker.ts';
import type { Boundary } from '../../application/ports/boundary.ts';
import type { ProxyService } from '../../application/proxy-service.ts';
import type { FailedDial } from '../../domain/blame.ts';
import { CLOSE_REASONS } from '../../domain/close-reasons.ts';
import { messageOf } from '../../errors.ts';
import { parseAddress } from '../../ip-address.ts';
import { Channel } from '../../ipc/channel.ts';
import { type Beat, Heartbeat } from '../../ipc/heartbeat.ts';
import {
  type ClosedMessage,
  type ConnectFailedMessage,
  type DialTuple,
  FromPrimary,
  FromWorker,
  type PickMessage,
  PROTOCOL,
  type PrimaryMessage,
  type UnservedMessage,
  type WorkerMessage,
} from '../../ipc/messages.ts';
import { isWorkerMessage } from '../../ipc/validate.ts';

export interface WorkerSessionOptions {
  readonly socket: Duplex;
  readonly incarnation: number;
  readonly service: ProxyService;
  readonly desk: PickDesk;
  readonly boundary: Boundary;
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
  #welcome = false;
  #over = false;
  #cut = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
    let closed = () => {};
    this.#closed = new Promise((resolve) => {
      closed = resolve;
    });
    this.#channel = new Channel(options.socket, isWorkerMessage, {
      onMessages: options.boundary.guard('worker', (messages) => this.#onMessages(messages)),
      onMalformed: (count) => options.onDropped(count),
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

  #onMessages(messages: WorkerMessage[]): void {
    if (this.#over) return;
    this.#heartbeat.heard();
    let dropped = 0;
    for (const message of messages) {
      // A defect that one client met: the others of its frame are served.
      if (this.#options.boundary.run('client', () => this.#onMessage(message)) === false) dropped++;
    }
    if (dropped > 0) this.#options.onDropped(dropped);
    this.#options.boundary.run('worker', this.#options.onBooked);
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
      this.#channel.push([FromPrimary.assigned, seq, backendId, endpoint.host, endpoint.port, why, contended]);
    }
  }

  /** The client is told, and holds nothing. */
  failed(seq: number, error: unknown): void {
    const { boundary, service, incarnation } = this.#options;
    boundary.failed('client', error);
    boundary.run('client', () => service.abandoned(incarnation, seq));
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
      case FromWorker.pick:
        return this.#pick(message);
      case FromWorker.connected:
        return service.connected(incarnation, message[1], message[2]);
      case FromWorker.connectFailed:
        return this.#connectFailed(message);
      case FromWorker.closed:
        return this.#closedReport(message);
      case FromWorker.abandoned:
        return service.abandoned(incarnation, message[1]);
      case FromWorker.unserved:
        return this.#unserved(message);
      case FromWorker.synced:
        return this.#options.desk.synced(this, message[1]);
      case FromWorker.hello:
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

  #pick([, seq, listener, text, tried]: PickMessage): boolean {
    const address = parseAddress(text);
    if (address === null) return false;
    this.#options.desk.pick(this, { seq, listener, address: text, tried: tried.map(asDial) }, address);
    return true;
  }

  #connectFailed([, seq, code, ms, ours, again]: ConnectFailedMessage): boolean {
    return this.#options.service.connectFailed(this.#options.incarnation, seq, { code, ms, ours }, again);
  }

  #closedReport(message: ClosedMessage): boolean {
    const [, seq, reason, bytesToBackend, bytesToClient, pickMs, connectMs, totalMs, attempts] = message;
    const { service, incarnation } = this.#options;
    const how = CLOSE_REASONS[reason]!;
    const report = { reason: how, bytesToBackend, bytesToClient, pickMs, connectMs, totalMs, attempts };
    return service.closed(incarnation, seq, report);
  }

  #unserved([, seq, listener, text, reason, totalMs, tried]: UnservedMessage): boolean {
    const address = parseAddress(text);
    if (address === null) return false;
    const { desk, service, incarnation } = this.#options;
    // The worker did not wait for the answer, which would take a slot for nobody.
    if (reason === 'pick_timeout') desk.withdraw(this, seq);
    const report = { seq, listener, address: text, reason, totalMs, tried: tried.map(asDial) };
    return service.unserved(incarnation, report, address);
  }
}

function asDial([backend, code, ms, ours]: DialTuple): FailedDial {
  return { backend, code, ms, ours };
}

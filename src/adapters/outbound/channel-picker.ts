// Runs in: worker
import type {
  Asker,
  BackendPicker,
  ClosedReport,
  PickAnswer,
  PickRequest,
  UnservedReport,
} from '../../application/ports/backend-picker.ts';
import type { Endpoint } from '../../application/ports/data-plane.ts';
import type { FailedDial } from '../../domain/blame.ts';
import type { RefusalReason } from '../../domain/entities.ts';
import { NumberMap } from '../../domain/number-map.ts';
import type { ByteLink } from '../../ipc/byte-link.ts';
import { Channel } from '../../ipc/channel.ts';
import { type Beat, Heartbeat } from '../../ipc/heartbeat.ts';
import {
  type DialTuple,
  FromPrimary,
  FromWorker,
  PROTOCOL,
  type PrimaryMessage,
  type WorkerMessage,
} from '../../ipc/messages.ts';
import {
  type AssignedRecord,
  RecordKind,
  readAssigned,
  writeClosed,
  writeConnected,
  writePick,
} from '../../ipc/records.ts';
import { isPrimaryMessage } from '../../ipc/validate.ts';

export interface ChannelPickerOptions {
  readonly link: ByteLink;
  readonly incarnation: number;
  /** A pick without an answer for so long is given up; so is a primary that is not heard from. In ms. */
  readonly timeoutMs: number;
  /** The primary's answer to our hello: `null` is a welcome, a text says why it denied. */
  readonly onHello: (denied: string | null) => void;
  /** How many connections may be held before further clients are left to the other workers; 0: as many as come. */
  readonly onCap: (connections: number) => void;
  /** The primary asks for all that the sockets know: `synced` is to follow. */
  readonly onSync: (round: number) => void;
  /** The primary is gone. */
  readonly onLost: () => void;
}

interface Pending {
  readonly asker: Asker;
  /** Not answered by then, it is given up. */
  until: number;
  /** Why it is refused without a question; it is so as soon as `pick` returned. */
  readonly refused: RefusalReason | null;
}

/** A backend, as assignments name it by its number. */
interface KnownBackend {
  readonly id: string;
  readonly endpoint: Endpoint;
}

/** Clients that are turned away in one turn when their picks time out: each has its socket closed. */
const GIVEN_UP_A_TURN = 256;

/** Picks that one worker may have outstanding: some seconds of connections for a primary that is held up. */
export const MAX_OUTSTANDING_PICKS = 8192;

/** The worker's end of the channel. Every pick ends in one of: answer, timeout, primary silent, too many outstanding. */
export class ChannelPicker implements BackendPicker {
  readonly #timeoutMs: number;
  readonly #channel: Channel<PrimaryMessage, WorkerMessage>;
  readonly #onHello: (denied: string | null) => void;
  readonly #onCap: (connections: number) => void;
  readonly #onSync: (round: number) => void;
  /** By seq. */
  readonly #pending = new NumberMap<Pending>();
  readonly #heartbeat: Heartbeat;
  /** By number: `MAX_BACKEND_NUMBERS` at most. */
  readonly #backends: (KnownBackend | undefined)[] = [];
  readonly #assigned: AssignedRecord = { seq: 0, backend: 0, why: 'picked', contended: false };
  #silent = false;
  #lost = false;
  /** Some of those whose time was over have their turn still to come. */
  #isGivingUp = false;

  constructor({ link, incarnation, timeoutMs, onHello, onCap, onSync, onLost }: ChannelPickerOptions) {
    this.#timeoutMs = timeoutMs;
    this.#onHello = onHello;
    this.#onCap = onCap;
    this.#onSync = onSync;
    this.#channel = new Channel(link, isPrimaryMessage, {
      onTurn: () => {
        this.#heartbeat.heard();
        this.#silent = false;
      },
      onMessage: (message) => this.#onMessage(message),
      onRecord: (view, at) => this.#onRecord(view, at),
      onTurnEnd: () => this.flush(),
      onClose: () => {
        this.#lost = true;
        this.#heartbeat.stop();
        for (const seq of this.#pending.keys()) this.#answer(seq, { kind: 'refused', reason: 'primary_silent' });
        onLost();
      },
    });
    this.#heartbeat = new Heartbeat({
      timeoutMs,
      onBeat: (beat) => this.#beat(beat),
      // A defect ends the worker, here as anywhere in it.
      failed: (error) => {
        throw error;
      },
    });
    this.#channel.send([FromWorker.hello, PROTOCOL, incarnation]);
  }

  pick({ seq, listener, address, tried }: PickRequest, asker: Asker): void {
    const refused = this.#refusedAtOnce();
    this.#pending.set(seq, { asker, until: performance.now() + this.#timeoutMs, refused });
    if (refused !== null) queueMicrotask(() => this.#answer(seq, { kind: 'refused', reason: refused }));
    else if (tried.length === 0) writePick(this.#channel.records, seq, listener, address);
    else this.#channel.push([FromWorker.pickAgain, seq, listener, Uint8Array.from(address.bytes), tried.map(asTuple)]);
  }

  cancel(seq: number): RefusalReason {
    return this.#pending.delete(seq)?.refused ?? 'client_left';
  }

  connected(seq: number, rttMs: number): void {
    writeConnected(this.#channel.records, seq, rttMs);
  }

  connectFailed(seq: number, { code, ms, ours }: Omit<FailedDial, 'backend'>, again: boolean): void {
    this.#channel.push([FromWorker.connectFailed, seq, code, ms, ours, again]);
  }

  closed(seq: number, report: ClosedReport): void {
    writeClosed(this.#channel.records, seq, report);
  }

  unserved({ seq, listener, address, reason, totalMs, tried }: UnservedReport): void {
    const bytes = Uint8Array.from(address.bytes);
    this.#channel.push([FromWorker.unserved, seq, listener, bytes, reason, totalMs, tried.map(asTuple)]);
  }

  synced(round: number): void {
    this.#channel.push([FromWorker.synced, round]);
  }

  flush(): void {
    this.#channel.flush();
  }

  /** Sends what is left and closes the channel; `then` runs when the kernel has it all. */
  end(then: () => void): void {
    this.#heartbeat.stop();
    this.#channel.end(then);
  }

  #refusedAtOnce(): RefusalReason | null {
    if (this.#lost || this.#silent) return 'primary_silent';
    return this.#pending.size >= MAX_OUTSTANDING_PICKS ? 'too_many_picks' : null;
  }

  #onMessage(message: PrimaryMessage): void {
    switch (message[0]) {
      case FromPrimary.backend:
        this.#backends[message[1]] = { id: message[2], endpoint: { host: message[3], port: message[4] } };
        break;
      case FromPrimary.waits:
        this.#waits(message[1], message[2]);
        break;
      case FromPrimary.refused:
        this.#answer(message[1], { kind: 'refused', reason: message[2] });
        break;
      case FromPrimary.welcome:
        this.#onHello(null);
        break;
      case FromPrimary.denied:
        this.#onHello(message[1]);
        break;
      case FromPrimary.cap:
        this.#onCap(message[1]);
        break;
      case FromPrimary.sync:
        this.#onSync(message[1]);
        break;
    }
  }

  #onRecord(view: DataView, at: number): void {
    if (view.getUint8(at) !== RecordKind.assigned || !readAssigned(view, at, this.#assigned)) return;
    const { seq, backend, why, contended } = this.#assigned;
    const known = this.#backends[backend];
    // It was told before, on the same way.
    if (known === undefined) return;
    this.#answer(seq, { kind: 'assigned', backendId: known.id, endpoint: known.endpoint, why, contended });
  }

  #answer(seq: number, answer: PickAnswer): void {
    const pending = this.#pending.delete(seq);
    if (pending !== undefined) {
      pending.asker.answered(seq, answer);
    } else if (answer.kind === 'assigned') {
      // We gave the client up before the primary found time: the slot that it reserved goes back unused.
      this.#channel.push([FromWorker.abandoned, seq]);
    }
  }

  #waits(seq: number, ms: number): void {
    const pending = this.#pending.get(seq);
    if (pending === undefined) return;
    pending.until = Math.max(pending.until, performance.now() + ms + this.#timeoutMs);
    pending.asker.waits?.(seq);
  }

  #beat({ isSilent, wasHeldUp }: Beat): void {
    this.#silent = isSilent;
    this.#channel.push([FromWorker.heartbeat]);
    // Answers that came meanwhile are still unread.
    if (!wasHeldUp && !this.#isGivingUp) this.#giveUp(performance.now());
    this.#channel.flush();
  }

  /** What is not answered and was to be by `now`: some of it in this turn, the rest in turns to come. */
  #giveUp(now: number): void {
    let count = 0;
    this.#isGivingUp = false;
    for (const [seq, { until }] of this.#pending.entries()) {
      if (until > now) continue;
      if (count++ === GIVEN_UP_A_TURN) {
        this.#isGivingUp = true;
        setImmediate(() => {
          this.#giveUp(now);
          this.#channel.flush();
        });
        return;
      }
      this.#answer(seq, { kind: 'refused', reason: 'pick_timeout' });
    }
  }
}

function asTuple({ backend, code, ms, ours }: FailedDial): DialTuple {
  return [backend, code, ms, ours];
}

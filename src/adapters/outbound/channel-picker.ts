// Runs in: worker
import type { Duplex } from 'node:stream';
import type {
  BackendPicker,
  ClosedReport,
  PickAnswer,
  PickRequest,
  UnservedReport,
} from '../../application/ports/backend-picker.ts';
import type { FailedDial } from '../../domain/blame.ts';
import { CLOSE_REASONS } from '../../domain/close-reasons.ts';
import type { RefusalReason } from '../../domain/entities.ts';
import { NumberMap } from '../../domain/number-map.ts';
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
import { isPrimaryMessage } from '../../ipc/validate.ts';

export interface ChannelPickerOptions {
  readonly socket: Duplex;
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
  readonly done: (answer: PickAnswer) => void;
  readonly since: number;
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
  #silent = false;
  #lost = false;

  constructor({ socket, incarnation, timeoutMs, onHello, onCap, onSync, onLost }: ChannelPickerOptions) {
    this.#timeoutMs = timeoutMs;
    this.#onHello = onHello;
    this.#onCap = onCap;
    this.#onSync = onSync;
    this.#channel = new Channel(socket, isPrimaryMessage, {
      onMessages: (messages) => this.#onMessages(messages),
      onMalformed: () => {},
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

  pick({ seq, listener, address, tried }: PickRequest, done: (answer: PickAnswer) => void): void {
    const refused = this.#refusedAtOnce();
    if (refused !== null) {
      queueMicrotask(() => done({ kind: 'refused', reason: refused }));
      return;
    }
    this.#pending.set(seq, { done, since: performance.now() });
    this.#channel.push([FromWorker.pick, seq, listener, address, tried.map(asTuple)]);
  }

  connected(seq: number, rttMs: number): void {
    this.#channel.push([FromWorker.connected, seq, rttMs]);
  }

  connectFailed(seq: number, { code, ms, ours }: Omit<FailedDial, 'backend'>, again: boolean): void {
    this.#channel.push([FromWorker.connectFailed, seq, code, ms, ours, again]);
  }

  closed(seq: number, report: ClosedReport): void {
    this.#channel.push([
      FromWorker.closed,
      seq,
      CLOSE_REASONS.indexOf(report.reason),
      report.bytesToBackend,
      report.bytesToClient,
      report.pickMs,
      report.connectMs,
      report.totalMs,
      report.attempts,
    ]);
  }

  unserved({ seq, listener, address, reason, totalMs, tried }: UnservedReport): void {
    this.#channel.push([FromWorker.unserved, seq, listener, address, reason, totalMs, tried.map(asTuple)]);
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

  #onMessages(messages: PrimaryMessage[]): void {
    this.#heartbeat.heard();
    this.#silent = false;
    for (const message of messages) {
      if (message[0] === FromPrimary.assigned) {
        const [, seq, backendId, host, port, why, contended] = message;
        this.#answer(seq, { kind: 'assigned', backendId, endpoint: { host, port }, why, contended });
      } else if (message[0] === FromPrimary.refused) {
        this.#answer(message[1], { kind: 'refused', reason: message[2] });
      } else if (message[0] === FromPrimary.welcome) {
        this.#onHello(null);
      } else if (message[0] === FromPrimary.denied) {
        this.#onHello(message[1]);
      } else if (message[0] === FromPrimary.cap) {
        this.#onCap(message[1]);
      } else if (message[0] === FromPrimary.sync) {
        this.#onSync(message[1]);
      }
    }
    this.flush();
  }

  #answer(seq: number, answer: PickAnswer): void {
    const pending = this.#pending.delete(seq);
    if (pending !== undefined) {
      pending.done(answer);
    } else if (answer.kind === 'assigned') {
      // We gave the client up before the primary found time: the slot that it reserved goes back unused.
      this.#channel.push([FromWorker.abandoned, seq]);
    }
  }

  #beat({ isSilent, wasHeldUp }: Beat): void {
    this.#silent = isSilent;
    this.#channel.push([FromWorker.heartbeat]);
    // Answers that came meanwhile are still unread.
    if (!wasHeldUp) this.#giveUp(performance.now() - this.#timeoutMs);
    this.#channel.flush();
  }

  /** What was asked before a moment and is not answered yet: some of it now, the rest in turns to come. */
  #giveUp(before: number): void {
    let count = 0;
    for (const [seq, { since }] of this.#pending.entries()) {
      if (since >= before) continue;
      if (count++ === GIVEN_UP_A_TURN) {
        setImmediate(() => {
          this.#giveUp(before);
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

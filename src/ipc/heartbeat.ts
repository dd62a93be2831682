import { every, type Periodic } from '../every.ts';

export interface HeartbeatOptions {
  /** A peer that is not heard from for so long is silent. In ms, > 0. */
  readonly timeoutMs: number;
  /** Called four times in that: the time to send a heartbeat of ours, and to act on what the guard says. */
  readonly onBeat: (beat: Beat) => void;
  /** Receives what `onBeat` throws. */
  readonly failed: (error: unknown) => void;
  /** Monotonic, in ms. */
  readonly now?: () => number;
}

export interface Beat {
  /** The peer was not heard from for longer than the deadline, and we were there to hear it. */
  readonly isSilent: boolean;
  /**
   * This process was itself held up: what its peer sent meanwhile is still unread, so neither its silence nor the age of
   * anything it owes us says a thing yet.
   */
  readonly wasHeldUp: boolean;
}

/** The heartbeats of one side of a channel: when ours are due, and whether the peer's fail to come. */
export class Heartbeat {
  readonly #timeoutMs: number;
  readonly #onBeat: (beat: Beat) => void;
  readonly #now: () => number;
  readonly #beats: Periodic;
  #lastHeard: number;
  #lastBeat: number;

  constructor({ timeoutMs, onBeat, failed, now = () => performance.now() }: HeartbeatOptions) {
    this.#timeoutMs = timeoutMs;
    this.#onBeat = onBeat;
    this.#now = now;
    this.#lastHeard = now();
    this.#lastBeat = this.#lastHeard;
    this.#beats = every(timeoutMs / 4, () => this.#beat(), failed);
  }

  /** Something came from the peer, whatever it was. */
  heard(): void {
    this.#lastHeard = this.#now();
  }

  /** How long the peer has been silent, once it is later than usual; else 0. In ms. */
  get silentMs(): number {
    const silent = this.#now() - this.#lastHeard;
    return silent > this.#timeoutMs / 2 ? silent : 0;
  }

  stop(): void {
    void this.#beats.stop();
  }

  #beat(): void {
    const now = this.#now();
    const wasHeldUp = now - this.#lastBeat > this.#timeoutMs / 2;
    this.#lastBeat = now;
    if (wasHeldUp) this.#lastHeard = now;
    this.#onBeat({ isSilent: now - this.#lastHeard > this.#timeoutMs, wasHeldUp });
  }
}

// Runs in: primary
import { LACKS, type Lack, TURNED_AWAY } from '../domain/blame.ts';
import type { RefusalReason } from '../domain/entities.ts';
import type { LackListener } from './dial-outcomes.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';

/** A host that lacks something lacks it for every client: one record of a kind in so many ms. */
const EVERY_MS = 60_000;

/** Tells the operator what this host lacks for its clients, and what to do about it. */
export class TellLacks implements LackListener {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #told = new Map<Lack | RefusalReason, { at: number; untold: number }>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  happened(lack: Lack, code: string, backendId: string): void {
    const before = this.#untold(lack);
    if (before === null) return;
    const { reason, advice } = LACKS[lack];
    this.#log.warn(
      { reason, code, backend: backendId, before, advice },
      'this host cannot dial; no backend is to blame',
    );
  }

  turnedAway(reason: RefusalReason): void {
    const before = this.#untold(reason);
    if (before !== null) this.#log.warn({ reason, before, advice: TURNED_AWAY[reason] }, 'clients are turned away');
  }

  /** How often it happened since it was told; `null`: it was told lately, and this time is counted. */
  #untold(what: Lack | RefusalReason): number | null {
    const now = this.#clock.now();
    const told = this.#told.get(what);
    if (told !== undefined && now - told.at < EVERY_MS) {
      told.untold++;
      return null;
    }
    this.#told.set(what, { at: now, untold: 0 });
    return told?.untold ?? 0;
  }
}

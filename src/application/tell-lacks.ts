// Runs in: primary
import { LACKS, type Lack } from '../domain/blame.ts';
import type { LackListener } from './dial-outcomes.ts';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';

/** A host that lacks something lacks it for every client: one record of a kind in so many ms. */
const EVERY_MS = 60_000;

/** Tells the operator what this host lacks for its dials, and what to do about it. */
export class TellLacks implements LackListener {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #told = new Map<Lack, { at: number; untold: number }>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  happened(lack: Lack, code: string, backendId: string): void {
    const now = this.#clock.now();
    const told = this.#told.get(lack);
    if (told !== undefined && now - told.at < EVERY_MS) {
      told.untold++;
      return;
    }
    this.#told.set(lack, { at: now, untold: 0 });
    const { reason, advice } = LACKS[lack];
    const before = told?.untold ?? 0;
    this.#log.warn(
      { reason, code, backend: backendId, before, advice },
      'this host cannot dial; no backend is to blame',
    );
  }
}

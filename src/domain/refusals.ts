import type { RefusalReason } from './entities.ts';

/** Whether a worker refused by itself a client whose pick it had asked for. */
export function isGivenUp(reason: RefusalReason): boolean {
  return reason === 'pick_timeout' || reason === 'client_left';
}

const NEVER_ASKED: ReadonlySet<RefusalReason> = new Set([
  'primary_silent',
  'too_many_picks',
  'descriptor_limit',
  'bad_preread',
]);

/** Whether a worker refused a client without a question: if it was the client's first pick, nothing told of it before. */
export function wasNeverAsked(reason: RefusalReason): boolean {
  return NEVER_ASKED.has(reason);
}

import { REFUSAL_REASONS } from '../domain/entities.ts';
import { MAX_BACKEND_NUMBERS } from './backend-numbers.ts';
import { FromPrimary, FromWorker, type PrimaryMessage, type WorkerMessage } from './messages.ts';

/** Whether a decoded value is of its form; what is not is dropped and counted, and never changes the books. */
type Check = (value: unknown) => boolean;

const MAX_TEXT = 255;
const MAX_TRIED = 64;

const text: Check = (value) => typeof value === 'string' && value.length <= MAX_TEXT;
const index: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const backendNumber: Check = (value) => index(value) && (value as number) < MAX_BACKEND_NUMBERS;
const quantity: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const addressBytes: Check = (value) => value instanceof Uint8Array && (value.length === 4 || value.length === 16);
const yesOrNo: Check = (value) => typeof value === 'boolean';
const dials: Check = (value) => Array.isArray(value) && value.length <= MAX_TRIED && value.every(isDial);
const refusal: Check = (value) => (REFUSAL_REASONS as readonly unknown[]).includes(value);

function isDial(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 4) return false;
  return text(value[0]) && text(value[1]) && quantity(value[2]) && yesOrNo(value[3]);
}

const WORKER_FORMS: Readonly<Record<number, readonly Check[]>> = {
  [FromWorker.hello]: [index, index],
  [FromWorker.heartbeat]: [],
  [FromWorker.pickAgain]: [index, index, addressBytes, dials],
  [FromWorker.connectFailed]: [index, text, quantity, yesOrNo, yesOrNo],
  [FromWorker.abandoned]: [index],
  [FromWorker.unserved]: [index, index, addressBytes, refusal, quantity, dials],
  [FromWorker.synced]: [index],
};

const PRIMARY_FORMS: Readonly<Record<number, readonly Check[]>> = {
  [FromPrimary.welcome]: [index],
  [FromPrimary.denied]: [text],
  [FromPrimary.heartbeat]: [],
  [FromPrimary.backend]: [backendNumber, text, text, index],
  [FromPrimary.waits]: [index, quantity],
  [FromPrimary.refused]: [index, refusal],
  [FromPrimary.cap]: [index],
  [FromPrimary.sync]: [index],
};

export function isWorkerMessage(value: unknown): value is WorkerMessage {
  return hasForm(value, WORKER_FORMS);
}

export function isPrimaryMessage(value: unknown): value is PrimaryMessage {
  return hasForm(value, PRIMARY_FORMS);
}

function hasForm(value: unknown, forms: Readonly<Record<number, readonly Check[]>>): boolean {
  if (!Array.isArray(value) || typeof value[0] !== 'number') return false;
  const form = forms[value[0]];
  if (form === undefined || value.length !== form.length + 1) return false;
  for (let i = 0; i < form.length; i++) if (!form[i]!(value[i + 1])) return false;
  return true;
}

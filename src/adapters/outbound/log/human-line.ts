// Runs in: primary
import { styleText } from 'node:util';
import type { AccessRecord } from '../../../application/ports/access-log.ts';
import type { RowProblem } from '../../../domain/table-image.ts';
import { printable } from '../../../printable.ts';

/** A log record as pino writes it. */
export type LogObject = Readonly<Record<string, unknown>>;

/** What every record has, and what is said elsewhere on the line. */
const NOT_TOLD: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'hostname', 'msg']);

/** `01:50:01`, in the time zone of the person who looks on. */
function clockTime(time: Date): string {
  return time.toTimeString().slice(0, 8);
}

type ConnectionFacts = Pick<
  AccessRecord,
  'client' | 'backend' | 'why' | 'close' | 'totalMs' | 'bytesToBackend' | 'bytesToClient' | 'tried'
>;

/** `01:50:01 127.0.0.1 -> b2 rebound finished 5 ms 78/199 B`: bytes to the backend, and to the client. Dials that failed behind: `; b1 ECONNREFUSED`. */
export function connectionLine(record: ConnectionFacts, time: Date): string {
  const { client, backend, why, close, totalMs, bytesToBackend, bytesToClient, tried = [] } = record;
  const before = tried.map(({ backend, code }) => `; ${printable(backend)} ${code}`).join('');
  const to = backend === null ? '(nobody)' : printable(backend);
  return `${clockTime(time)} ${client.text} -> ${to} ${why} ${close} ${Math.round(totalMs)} ms ${bytesToBackend}/${bytesToClient} B${before}\n`;
}

/** What is as it should be needs no word for that. */
const LEVELS: Readonly<Record<string, string>> = {
  debug: styleText('dim', 'debug '),
  warn: styleText('yellow', 'WARN '),
  error: styleText('red', 'ERROR '),
};

/** Any other record, on one line. */
export function humanLine(record: LogObject, time: Date): string {
  return `${clockTime(time)} ${LEVELS[String(record.level)] ?? ''}${humanMessage(record)}\n`;
}

export function humanMessage(record: LogObject): string {
  const message = String(record.msg);
  const own = SENTENCES[message]?.(record);
  if (own !== undefined) return printable(own);
  // A message that ends in a colon is about the next one.
  if (message.endsWith(':')) return printable(message);
  const fields = Object.entries(record).flatMap(([name, value]) => {
    if (NOT_TOLD.has(name) || value === null || value === '') return [];
    return `${name} ${text(value)}`;
  });
  return printable(fields.length === 0 ? message : `${message}: ${fields.join(', ')}`);
}

/** Of records that have more to say to a person than their fields do. By message. */
const SENTENCES: Readonly<Record<string, (record: LogObject) => string>> = {
  'routing rows skipped; the good ones serve': ({ skipped, rows }) => {
    const problems = (Array.isArray(rows) ? rows : []) as readonly RowProblem[];
    const named = problems.map(
      ({ id, column, value, expected }) => `${id}: ${column} is ${value}: expected ${expected}`,
    );
    const more = Number(skipped) - named.length;
    return `${count(skipped, 'routing row')} skipped, the good ones serve: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  },
  'stopping: draining connections': ({ signal, connections, drainSecs }) =>
    `stopping (${text(signal)}), draining: up to ${text(drainSecs)} s, a second signal ends it now; ` +
    `connections ${text(connections)}`,
  'routing table loaded': ({ version, backends, skipped, added, removed, changed, ids }) => {
    const few = Array.isArray(ids) ? ids : [];
    const more = Number(added) + Number(removed) + Number(changed) - few.length;
    const named = few.length === 0 ? '' : ` (${few.join(' ')}${more > 0 ? ` and ${more} more` : ''})`;
    const left = Number(skipped) > 0 ? `, ${count(skipped, 'row')} skipped` : '';
    return `routing table ${text(version)} loaded: ${count(backends, 'backend')}${left}, +${text(added)} -${text(removed)} ~${text(changed)}${named}`;
  },
};

/** `1 row`, `2 rows`. */
function count(number: unknown, noun: string): string {
  return `${text(number)} ${noun}${number === 1 ? '' : 's'}`;
}

function text(value: unknown): string {
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value.join(' ');
  if (Array.isArray(value)) return value.map(text).join('; ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, each]) => `${name} ${text(each)}`)
    .join(' ');
}

import type { ClientAddress } from './client-address.ts';
import { isCountryCode } from './countries.ts';
import type { Backend } from './entities.ts';
import { MAX_NAMED_PROBLEMS, type RowProblem } from './table-image.ts';
import { isRegionCode, REGIONS, type RegionCode } from './value-objects.ts';

/** A row as a database hands it over: any column may hold anything, whatever its declared type (SQLite keeps no promise of it). */
export type RawRow = Readonly<Record<ColumnName, unknown>>;

/** Tells whether a backend at this address would be edgeProxy itself. `host` is normalised. */
export type IsOwnEndpoint = (host: string, port: number) => boolean;

/** Reads an IP literal and normalises it; `null` for anything else. */
export type ParseAddress = (text: string) => ClientAddress | null;

/** What rows are judged by, beside the rules of the columns. */
export interface RowJudge {
  readonly parseAddress: ParseAddress;
  readonly isOwn: IsOwnEndpoint;
}

/** What one column may hold. `parse` gives `undefined` for a value that may not stand there. */
interface Column<T> {
  readonly expected: string;
  readonly parse: (value: unknown, parseAddress: ParseAddress) => T | undefined;
}

/** Longest id and app, in UTF-16 code units. */
export const MAX_TEXT_LENGTH = 255;
/** Longest value text in a problem, in UTF-16 code units. */
const MAX_SHOWN = 64;
const MAX_INT32 = 2_147_483_647;

const CONTROL = /\p{Cc}/u;
/** Control, invisible and line-separating characters: they would let a value rewrite the line that it is shown in. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * The columns of `backends`, in the order of the schema, whatever database they stand in. Plain checks and not a validation library: a load runs them
 * over every row, and an operator's table may have a million.
 */
export const COLUMNS = {
  id: {
    expected: `a text of 1 to ${MAX_TEXT_LENGTH} characters without control characters`,
    parse: (value) => (value === '' ? undefined : plainText(value)),
  },
  app: {
    expected: `a text of at most ${MAX_TEXT_LENGTH} characters without control characters, or NULL`,
    parse: (value) => (value === null ? '' : plainText(value)),
  },
  region: { expected: `one of ${REGIONS.join(', ')}`, parse: region },
  country: { expected: 'an ISO 3166-1 alpha-2 country code such as BR, or NULL', parse: country },
  wg_ip: { expected: 'a unicast IPv4 or IPv6 address without a zone', parse: unicastAddress },
  port: integer(1, 65_535),
  healthy: { expected: '0 or 1', parse: flag },
  weight: integer(0, 10_000),
  soft_limit: optionalInteger(MAX_INT32),
  hard_limit: optionalInteger(MAX_INT32),
  deleted: { expected: '0, 1 or NULL', parse: (value) => (value === null ? false : flag(value)) },
} as const satisfies Record<string, Column<string | number | boolean | null>>;

export type ColumnName = keyof typeof COLUMNS;

export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly ColumnName[];

/** Validates one row. A bad one gives its first bad column, in the order of the schema. */
export function readRow(row: RawRow, { parseAddress, isOwn }: RowJudge): Backend | RowProblem {
  const id = COLUMNS.id.parse(row.id);
  if (id === undefined) return problemOf(row, 'id');
  const app = COLUMNS.app.parse(row.app);
  if (app === undefined) return problemOf(row, 'app');
  const region = COLUMNS.region.parse(row.region);
  if (region === undefined) return problemOf(row, 'region');
  const country = COLUMNS.country.parse(row.country);
  if (country === undefined) return problemOf(row, 'country');
  const host = COLUMNS.wg_ip.parse(row.wg_ip, parseAddress);
  if (host === undefined) return problemOf(row, 'wg_ip');
  const port = COLUMNS.port.parse(row.port);
  if (port === undefined) return problemOf(row, 'port');
  const healthy = COLUMNS.healthy.parse(row.healthy);
  if (healthy === undefined) return problemOf(row, 'healthy');
  const weight = COLUMNS.weight.parse(row.weight);
  if (weight === undefined) return problemOf(row, 'weight');
  const softLimit = COLUMNS.soft_limit.parse(row.soft_limit);
  if (softLimit === undefined) return problemOf(row, 'soft_limit');
  const hardLimit = COLUMNS.hard_limit.parse(row.hard_limit);
  if (hardLimit === undefined) return problemOf(row, 'hard_limit');
  const deleted = COLUMNS.deleted.parse(row.deleted);
  if (deleted === undefined) return problemOf(row, 'deleted');
  if (isOwn(host, port)) return problemOf(row, 'wg_ip', 'an address that is not one of our own listeners (loop)');
  return { id, app, region, country, host, port, healthy, weight, softLimit, hardLimit, deleted };
}

/** The rows of a table that are good, and those that are not. */
export interface JudgedRows {
  readonly backends: readonly Backend[];
  /** The first MAX_NAMED_PROBLEMS of the rows that were skipped. */
  readonly problems: readonly RowProblem[];
  readonly problemCount: number;
}

/** Validates every row. No key of a database keeps ids apart for us: an operator's own table may have none. */
export function judgeRows(rows: Iterable<RawRow>, judge: RowJudge): JudgedRows {
  const backends: Backend[] = [];
  const problems: RowProblem[] = [];
  let problemCount = 0;
  const ids = new Set<string>();
  for (const raw of rows) {
    let row = readRow(raw, judge);
    if (!isProblem(row) && ids.has(row.id)) row = problemOf(raw, 'id', 'an id that no other row has');
    if (!isProblem(row)) {
      ids.add(row.id);
      backends.push(row);
    } else if (problemCount++ < MAX_NAMED_PROBLEMS) {
      problems.push(row);
    }
  }
  return { backends, problems, problemCount };
}

export function isProblem(row: Backend | RowProblem): row is RowProblem {
  return 'expected' in row;
}

/** The problem that `row` has in `column`. */
export function problemOf(row: RawRow, column: ColumnName, expected: string = COLUMNS[column].expected): RowProblem {
  // A valid id is shown whole, however long: it is what the operator looks the row up by.
  const id = COLUMNS.id.parse(row.id) ?? showValue(row.id);
  return { id, column, value: showValue(row[column]), expected };
}

/** A stored value as text for people: escaped, at most 64 characters. */
export function showValue(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (value instanceof Uint8Array) return cut(`x'${Buffer.from(value.subarray(0, MAX_SHOWN)).toString('hex')}'`);
  return cut(
    String(value)
      .slice(0, MAX_SHOWN + 1)
      .replace(UNPRINTABLE, escapeCharacter),
  );
}

function cut(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN - 1)}…`;
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

function plainText(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH && !CONTROL.test(value) ? value : undefined;
}

function region(value: unknown): RegionCode | undefined {
  if (typeof value !== 'string') return undefined;
  const code = value.toLowerCase();
  return isRegionCode(code) ? code : undefined;
}

function country(value: unknown): string | null | undefined {
  if (value === null || value === '') return null;
  if (typeof value !== 'string' || value.length !== 2) return undefined;
  const code = value.toUpperCase();
  return isCountryCode(code) ? code : undefined;
}

/** A zone (`%eth0`) is refused: a link-local backend cannot be dialled without it, and the table does not keep it. */
function unicastAddress(value: unknown, parseAddress: ParseAddress): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_SHOWN || value.includes('%')) return undefined;
  const address = parseAddress(value);
  if (address === null) return undefined;
  const { bytes, text } = address;
  const first = bytes[0]!;
  const multicast = bytes.length === 4 ? first >= 224 && first <= 239 : first === 0xff;
  return multicast || text === '0.0.0.0' || text === '255.255.255.255' || text === '::' ? undefined : text;
}

function integer(min: number, max: number) {
  return {
    expected: `an integer from ${min} to ${max}`,
    parse: (value: unknown): number | undefined =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
  };
}

function optionalInteger(max: number) {
  const { expected, parse } = integer(0, max);
  return { expected: `${expected}, or NULL`, parse: (value: unknown) => (value === null ? 0 : parse(value)) };
}

function flag(value: unknown): boolean | undefined {
  return value === 1 ? true : value === 0 ? false : undefined;
}

// Runs in: cli
import { styleText } from 'node:util';
import { printable, UNSAFE } from '../printable.ts';
import { fitTable, layOutTable, type Table } from './table.ts';

export type { Table } from './table.ts';

/** What a command has to say to a person: sentences (one a line) and tables. */
export type Block = string | Table;

/**
 * JSON for a terminal as for a program. `JSON.stringify` leaves U+007F..U+009F as they are, and U+009B starts a terminal
 * sequence; escaped, they mean the same to every JSON reader.
 */
export function toJson(value: unknown): string {
  // Line feeds are the indentation's: those of the values are escaped already.
  return JSON.stringify(value, null, 2).replace(UNSAFE, (character) => (character === '\n' ? '\n' : utf16(character)));
}

/** The same on one line. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, utf16);
}

/** Writes the result of a command on stdout: `value` for programs with `--json`, else `blocks` for people. */
export function show(json: boolean, value: unknown, blocks: () => readonly Block[]): void {
  const lines = json ? [toJson(value)] : renderBlocks(blocks());
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** Writes a remark, which is no result, on stderr. */
export function remark(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** `1 worker`, `2 workers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** What fits every screen. */
const NARROWEST = 80;

/** Columns of the screen that people read on. `COLUMNS` speaks for a pipe, which has none. */
export function screenWidth(): number {
  return Math.max(NARROWEST, process.stdout.columns ?? (Number(process.env.COLUMNS) || 0));
}

export function renderBlocks(blocks: readonly Block[]): readonly string[] {
  return blocks.flatMap((block) => (typeof block === 'string' ? [printable(block)] : renderTable(block)));
}

function renderTable({ head, rows, spare }: Table): readonly string[] {
  const safe = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell : printable(cell))));
  const fitted = fitTable({ head, rows: safe, ...(spare === undefined ? {} : { spare }) }, screenWidth());
  const [first = '', ...lines] = layOutTable(fitted);
  // styleText asks stdout: no colours without a terminal, or with NO_COLOR.
  const table = [styleText('bold', first, { stream: process.stdout }), ...lines];
  if (fitted.left.length === 0) return table;
  return [...table, `(no room for ${fitted.left.join(', ')}: a wider terminal shows it, and --json)`];
}

function utf16(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

// Runs in: cli
import { styleText } from 'node:util';
import CliTable from 'cli-table3';

/** Cells are text as it comes: it is made harmless where it is written. Columns of numbers are aligned to the right. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** What a command has to say to a person: sentences (one a line) and tables. */
export type Block = string | Table;

/** Control, invisible and line-separating characters, and halves of surrogate pairs: a terminal would act on some. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** `text` on one line, harmless to a terminal: what is unsafe is written as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/**
 * JSON for a terminal as for a program. `JSON.stringify` leaves U+007F..U+009F as they are, and U+009B starts a terminal
 * sequence; escaped, they mean the same to every JSON reader.
 */
export function toJson(value: unknown): string {
  // Line feeds are the indentation's: those of the values are escaped already.
  return JSON.stringify(value, null, 2).replace(UNSAFE, (character) => (character === '\n' ? '\n' : utf16(character)));
}

/** Writes the result of a command on stdout: `value` for programs with `--json`, else `blocks` for people. */
export function show(json: boolean, value: unknown, blocks: () => readonly Block[]): void {
  const lines = json ? [toJson(value)] : blocks().flatMap(render);
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

function render(block: Block): readonly string[] {
  return typeof block === 'string' ? [printable(block)] : renderTable(block);
}

/** Rows that are laid out together: the library's time grows with their square. */
const ROWS_AT_ONCE = 50;

/** Columns side by side, without borders: lines that read well and that grep, awk and sort take as they are. */
function renderTable({ head, rows }: Table): readonly string[] {
  const cells = [[...head], ...rows.map((row) => row.map((cell) => printable(String(cell))))];
  const slices: string[][][] = [];
  for (let at = 0; at < cells.length; at += ROWS_AT_ONCE) slices.push(cells.slice(at, at + ROWS_AT_ONCE));
  const colAligns = head.map((_, column) => (isNumeric(rows, column) ? 'right' : 'left'));
  const layOut = (slice: string[][], colWidths: number[]) => {
    const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
    const table = new CliTable({ chars: NO_BORDERS, style, colAligns, colWidths });
    table.push(...slice);
    return { text: table.toString(), widths: table.options.colWidths };
  };
  // First each slice as wide as it wants to be, then all as wide as the widest.
  const wanted = slices.map((slice) => layOut(slice, []).widths);
  const widths = head.map((_, column) => wanted.reduce((widest, each) => Math.max(widest, each[column] ?? 0), 0));
  const lines = slices.flatMap((slice) => layOut(slice, widths).text.split('\n'));
  const [first = '', ...rest] = lines.map((line) => line.trimEnd());
  // styleText asks stdout: no colours without a terminal, or with NO_COLOR.
  return [styleText('bold', first, { stream: process.stdout }), ...rest];
}

function isNumeric(rows: Table['rows'], column: number): boolean {
  const cells = rows.map((row) => row[column]);
  return (
    cells.some((cell) => typeof cell === 'number') && cells.every((cell) => typeof cell === 'number' || cell === '-')
  );
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

function utf16(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

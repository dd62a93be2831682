// Runs in: cli
import CliTable from 'cli-table3';

/** Columns of numbers are aligned to the right. */
export interface Table {
  readonly head: readonly string[];
  /** Cells are text as it comes: it is made harmless where it is written. */
  readonly rows: readonly (readonly (string | number)[])[];
  /** Columns that a narrow screen does without, the least important first. */
  readonly spare?: readonly string[];
}

/** A table that is cut to a width. */
export interface FittedTable extends Table {
  readonly widths: readonly number[];
  /** Columns that were left out, and said something. */
  readonly left: readonly string[];
}

/** Between two columns. */
const GAP = 2;
/** What a cell is never folded below: such a table is wider than its screen. */
const LEAST_WIDTH = 8;
/** Stands in a cell that has nothing to say. */
export const NOTHING = '-';

/**
 * The table in at most `width` columns of a terminal, if that can be: spare columns go one by one, those that say nothing
 * first, and then the widest columns of text are folded. Nothing is cut out of a cell: an id that is shown is whole.
 */
export function fitTable(table: Table, width: number): FittedTable {
  const { head, rows, spare = [] } = table;
  const natural = head.map((name, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(String(row[column]))), widthOf(name)),
  );
  const says = (column: number) => rows.some((row) => row[column] !== NOTHING);
  const spares = spare.map((name) => head.indexOf(name));
  const order = [...spares.filter((column) => !says(column)), ...spares.filter(says)];
  let kept = head.map((_, column) => column);
  const tooWide = () => total(kept.map((column) => natural[column]!)) > width;
  while (order.length > 0 && tooWide()) {
    const gone = order.shift();
    kept = kept.filter((column) => column !== gone);
  }
  const isText = kept.map((column) => rows.some((row) => typeof row[column] === 'string' && row[column] !== NOTHING));
  const widths = narrowed(
    kept.map((column) => natural[column]!),
    kept.map((column, i) => (isText[i] ? Math.max(LEAST_WIDTH, widthOf(head[column]!)) : Number.POSITIVE_INFINITY)),
    width,
  );
  return {
    head: kept.map((column) => head[column]!),
    rows: rows.map((row) => kept.map((column) => row[column]!)),
    widths,
    left: head.filter((_, column) => !kept.includes(column) && says(column)),
  };
}

/** Takes from the widest that may give, evenly, until all fit or none may. */
function narrowed(natural: readonly number[], least: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  for (let excess = total(widths) - width; excess > 0; excess--) {
    let widest = -1;
    for (const [i, each] of widths.entries())
      if (each > least[i]! && (widest < 0 || each > widths[widest]!)) widest = i;
    if (widest < 0) break;
    widths[widest]!--;
  }
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each, 0) + GAP * Math.max(0, widths.length - 1);
}

/** Rows that are laid out together: the library's time grows with their square. */
const ROWS_AT_ONCE = 50;

/** Columns side by side, without borders: lines that read well and that grep, awk and sort take as they are. */
export function layOutTable({ head, rows, widths }: FittedTable): readonly string[] {
  const cells = [head, ...rows].map((row) => row.map((cell, i) => fold(String(cell), widths[i]!).join('\n')));
  const colAligns = head.map((_, column) => (isNumeric(rows, column) ? 'right' : 'left') as 'right' | 'left');
  const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += ROWS_AT_ONCE) {
    const table = new CliTable({ chars: NO_BORDERS, style, colAligns, colWidths: [...widths] });
    table.push(...cells.slice(at, at + ROWS_AT_ONCE));
    lines.push(...table.toString().split('\n'));
  }
  return lines.map((line) => line.trimEnd());
}

/** `text` in lines of at most `width` columns, broken at blanks where there are any. */
export function fold(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    for (const character of word) {
      if (widthOf(line + character) > width) {
        lines.push(line);
        line = '';
      }
      line += character;
    }
  }
  return [...lines, line];
}

/** From here on characters may take two columns: too much for some, too little for none. */
const WIDE = 0x1100;

function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += character.codePointAt(0)! < WIDE ? 1 : 2;
  return width;
}

function isNumeric(rows: Table['rows'], column: number): boolean {
  const cells = rows.map((row) => row[column]);
  return (
    cells.some((cell) => typeof cell === 'number') &&
    cells.every((cell) => typeof cell === 'number' || cell === NOTHING)
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
  middle: ' '.repeat(GAP),
};

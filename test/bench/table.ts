import Table from 'cli-table3';
import type { Row } from './results.ts';

export function figure(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

const range = ([least, greatest]: readonly [number, number], text: (value: number) => string): string =>
  least === greatest ? '' : `${text(least)} .. ${text(greatest)}`;

const two = (value: number): string => value.toFixed(2);

function bound({ better, ratio }: Row, value: number | undefined): string {
  if (value === undefined) return '';
  return `${better === 'more' ? '>=' : '<='} ${ratio === null ? figure(value) : two(value)}`;
}

function ratioText({ ratio, rounds }: Row): string {
  if (ratio === null) return '';
  return ratio.rounds === rounds ? two(ratio.median) : `${two(ratio.median)} (${ratio.rounds} of ${rounds})`;
}

export function tableText(rows: readonly Row[]): string {
  const table = new Table({
    head: [
      'measure',
      'proxy',
      'median',
      'least .. greatest',
      'to HAProxy',
      'least .. greatest',
      'must',
      'aim',
      'reached',
    ],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    table.push([
      row.measure,
      row.contestant,
      `${figure(row.median)} ${row.unit}`,
      range(row.spread, figure),
      ratioText(row),
      row.ratio === null ? '' : range(row.ratio.spread, two),
      bound(row, row.target?.must),
      bound(row, row.target?.aim),
      row.reached,
    ]);
  }
  return table.toString();
}

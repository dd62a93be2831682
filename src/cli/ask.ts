// Runs in: cli
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { printable } from '../printable.ts';

/** Asks a person. Only `y` and `yes` are yes; an end of input is no. */
export async function askYesNo(question: string, input: Readable, output: Writable): Promise<boolean> {
  output.write(`${printable(question)} [y/N] `);
  const lines = createInterface({ input });
  try {
    for await (const line of lines) return /^\s*y(es)?\s*$/i.test(line);
    return false;
  } finally {
    lines.close();
    // A terminal that is still being read would keep the process.
    input.pause();
  }
}

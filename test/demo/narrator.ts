/** Tells the demo on stdout, for people: plain text, no colours, so that it reads the same in a terminal and in a file. */
export class Narrator {
  #steps = 0;
  #muted = false;

  say(text = ''): void {
    if (!this.#muted) process.stdout.write(text === '' ? '\n' : `   ${text}\n`);
  }

  title(text: string): void {
    if (!this.#muted) process.stdout.write(`\n${text}\n`);
  }

  step(text: string): void {
    this.title(`${++this.#steps}. ${text}`);
  }

  /** Columns as wide as their longest cell. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    for (const row of rows)
      this.say(
        row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd(),
      );
  }

  /** Says `text` if it is so, and ends the demo if it is not. `found` is what was there instead. */
  claim(holds: boolean, text: string, found: unknown = ''): void {
    if (!holds) throw new Error(`this should be so and is not: ${text}${found === '' ? '' : ` (found: ${found})`}`);
    this.say(text);
  }

  /** Nothing more is told: the demo is over, though parts of it may still be on their way. */
  mute(): void {
    this.#muted = true;
  }
}

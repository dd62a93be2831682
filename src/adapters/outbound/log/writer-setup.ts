// Runs in: primary, thread
import type { LineOptions } from './access-line.ts';

/** What the thread that writes the log is given when it starts. */
export interface WriterSetup {
  readonly shared: SharedArrayBuffer;
  readonly fd: number;
  readonly options: LineOptions;
  /** Numbers of names that were told before. */
  readonly names: ReadonlyMap<string, number>;
}

// Runs in: cli
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { wholeNumberIn } from './arguments.ts';
import { type Block, renderBlocks, toJsonLine } from './output.ts';

export interface WatchOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval?: number;
}

const DEFAULT_SECS = 2;

export function addWatchOptions(command: Command): Command {
  return command
    .option('--watch', 'show it anew, until q or Ctrl-C; with --json one document a line')
    .option('--interval <secs>', `how often, with --watch (default: ${DEFAULT_SECS})`, wholeNumberIn(1, 3600));
}

export interface Picture {
  readonly value: unknown;
  readonly blocks: () => readonly Block[];
}

/** Of the keys, as bytes: q, Q, Ctrl-C, Ctrl-D. */
const ENOUGH: ReadonlySet<number> = new Set([0x71, 0x51, 0x03, 0x04]);

/** Home, and nothing below: a screen that is cleared first would flicker. */
const HOME = '\x1b[H';
const CLEAR_LINE_END = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

/**
 * Draws again and again until the person has seen enough, or until `SIGINT` or `SIGTERM`, which is a good end too. What
 * fails is drawn as well: a proxy that restarts is worth to be watched. `take` has to be bounded in time by itself.
 */
export async function watch(options: WatchOptions, take: (signal: AbortSignal) => Promise<Picture>): Promise<void> {
  const enough = untilEnough();
  const intervalMs = (options.interval ?? DEFAULT_SECS) * 1000;
  try {
    while (!enough.signal.aborted) {
      const drawn = await take(enough.signal).then(
        (picture) => draw(options.json ?? false, picture),
        (error: unknown) => drawFailure(options.json ?? false, error),
      );
      if (enough.signal.aborted) break;
      process.stdout.write(drawn);
      await delay(intervalMs, undefined, { signal: enough.signal }).catch(() => {});
    }
  } finally {
    enough.release();
  }
}

function draw(json: boolean, { value, blocks }: Picture): string {
  return json ? `${toJsonLine(value)}\n` : screenful(renderBlocks(blocks()));
}

function drawFailure(json: boolean, error: unknown): string {
  const message = messageOf(error);
  return json ? `${toJsonLine({ error: { message } })}\n` : screenful(message.split('\n').map(printable));
}

/** In place on a terminal, no longer than it is high; one below the other elsewhere. */
function screenful(lines: readonly string[]): string {
  const said = [`${new Date().toTimeString().slice(0, 8)}  (q ends)`, ...lines];
  if (!process.stdout.isTTY) return `${said.join('\n')}\n\n`;
  const height = Math.max(2, (process.stdout.rows ?? 24) - 1);
  return `${HOME}${said
    .slice(0, height)
    .map((line) => `${line}${CLEAR_LINE_END}\n`)
    .join('')}${CLEAR_BELOW}`;
}

/** Aborted by `q`, Ctrl-C, an end of the terminal, SIGINT or SIGTERM. `release` lets the process end. */
function untilEnough(): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const { stdin } = process;
  const stop = () => controller.abort();
  const onKey = (keys: Buffer) => {
    if (keys.some((byte) => ENOUGH.has(byte))) stop();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const isTerminal = stdin.isTTY && process.stdout.isTTY;
  if (isTerminal) {
    // Otherwise a key is ours only after Enter.
    stdin.setRawMode(true);
    stdin.on('data', onKey).on('end', stop).on('error', stop);
    process.stdout.write(`${HOME}${CLEAR_BELOW}`);
  }
  const release = () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    if (!isTerminal) return;
    stdin.off('data', onKey).off('end', stop).off('error', stop);
    stdin.setRawMode(false);
    stdin.pause();
  };
  return { signal: controller.signal, release };
}

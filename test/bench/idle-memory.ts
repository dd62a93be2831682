import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startHttpBackend } from './backends.ts';
import type { Entrant } from './contestants.ts';
import { privateBytes } from './proc.ts';
import type { Bench } from './processes.ts';
import { median, summary } from './statistics.ts';
import { SHORT_CONNECTION, wrk } from './traffic.ts';

const HOLDER = fileURLToPath(new URL('./hold-connections.ts', import.meta.url));
const HOLD_MS = 120_000;

const LEAST_WARM_UPS = 3;
const MOST_WARM_UPS = 6;
/** A bout that leaves less than this part of the memory before it has freed some: another may free more. */
const FREED_RATIO = 0.985;
const WARM_UP_SECONDS = 3;
const WARM_UP_CONNECTIONS = 4;

const SAMPLE_MS = 1000;
/** V8 gives memory back some 8 s after the last activity: a value is stable when it has outlived that. */
const STABLE_SAMPLES = 10;
const MOST_SAMPLES = 30;
/** What changes by less is a page here and there. */
const STABLE_RATIO = 0.002;

/**
 * Private memory that each idle connection costs the proxy's processes, in bytes; what the kernel keeps for sockets is
 * not in it. It is a slope: (memory with `count` held - memory with `count / 4` held) / (3/4 `count`), so that what a
 * proxy takes once, such as its code, its tables' first pages or a heap's first growth, cancels out.
 *
 * HAProxy's pools, malloc and V8's heap all keep memory that was used before, and a proxy that has held `count` already
 * would show a slope of 0. So it is a fresh process each time, and the growth is its first. What is warmed up is what does
 * not belong to connections held: thousands of short ones, a few at a time, have the hot code compiled, the young
 * generation grown, and logs and pools used. They come in bouts, each with a wait for the garbage, until one frees no
 * more: V8 gives back what starting took, tens of megabytes, in several steps, each after a bout of work, and in the slope
 * they would be less than nothing for a connection.
 *
 * Garbage that a process has not collected by the reading is memory that it uses, and counts, but the moment must not
 * decide: a reading is the median of ten in a row, a second apart, that do not differ; or, of a heap that never rests, of
 * the last ten of thirty.
 *
 * Each connection has a client address of its own, so that ours keeps a binding for each.
 */
export async function bytesPerIdleConnection(bench: Bench, entrant: Entrant, count: number): Promise<number> {
  const backend = await startHttpBackend(bench);
  const contestant = await entrant.start(bench, { httpPort: backend.port, bulkPort: backend.port });
  const { httpPort, pids } = contestant;
  let bytes = Number.POSITIVE_INFINITY;
  for (let bout = 1; bout <= MOST_WARM_UPS; bout++) {
    await wrk(bench, httpPort, WARM_UP_SECONDS, SHORT_CONNECTION, WARM_UP_CONNECTIONS);
    const left = await stableBytes(pids);
    if (bout >= LEAST_WARM_UPS && left > FREED_RATIO * bytes) break;
    bytes = left;
  }
  const holder = bench.start(process.execPath, [HOLDER, String(httpPort)], { ipc: true });
  const few = Math.floor(count / 4);
  await hold(holder, few);
  const before = await stableBytes(pids);
  await hold(holder, count);
  const after = await stableBytes(pids);
  const open = await hold(holder, count);
  if (open < count) throw new Error(`${entrant.name} closed ${count - open} of ${count} idle connections`);
  await bench.stop(holder);
  await contestant.stop();
  await backend.stop();
  return (after - before) / (count - few);
}

async function stableBytes(pids: readonly number[]): Promise<number> {
  const samples = [privateBytes(pids)];
  const latest = () => samples.slice(-STABLE_SAMPLES);
  const stable = () => {
    const [least, greatest] = summary(latest()).spread;
    return samples.length >= STABLE_SAMPLES && greatest - least <= STABLE_RATIO * greatest;
  };
  while (!stable() && samples.length < MOST_SAMPLES) {
    await sleep(SAMPLE_MS);
    samples.push(privateBytes(pids));
  }
  return median(latest());
}

/** Has the holder open connections until it holds `count`, and gives how many of them are open. */
async function hold(holder: ChildProcess, count: number): Promise<number> {
  let text = '';
  const hear = (chunk: Buffer) => {
    text += chunk.toString();
  };
  holder.stderr!.on('data', hear);
  const answer = new AbortController();
  const failed = () => answer.abort(new Error(`connections could not be held:\n${text}`));
  holder.once('close', failed);
  const timer = setTimeout(failed, HOLD_MS);
  try {
    holder.send(count);
    const [open] = await once(holder, 'message', { signal: answer.signal });
    return open as number;
  } finally {
    clearTimeout(timer);
    holder.off('close', failed);
    holder.stderr!.off('data', hear).resume();
  }
}

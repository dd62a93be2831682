import { mock } from 'node:test';
import type { Test } from 'tap';
import { ConnectionCaps } from '../../src/application/connection-caps.ts';
import { WorkerSupervisor } from '../../src/application/supervise-workers.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { keepingLog } from '../fixtures/silent-log.ts';
import { ScriptedLauncher } from './scripted-launcher.ts';

export const DRAIN_MS = 30_000;

export interface Stage {
  readonly launcher: ScriptedLauncher;
  readonly supervisor: WorkerSupervisor;
  readonly held: Map<number, number>;
  readonly log: ReturnType<typeof keepingLog>;
  /** Lets so much time pass, for timers and clock alike. */
  readonly pass: (ms: number) => void;
}

/** A supervisor of scripted processes; its timers run when the test lets time pass. */
export function stage(t: Test, workers: number): Stage {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const launcher = new ScriptedLauncher();
  const held = new Map<number, number>();
  const log = keepingLog();
  let now = 0;
  const boundary = countingBoundary();
  const heldBy = (incarnation: number) => held.get(incarnation) ?? 0;
  const supervisor = new WorkerSupervisor({
    launcher,
    clock: { now: () => now },
    log,
    workers,
    heldBy,
    caps: new ConnectionCaps(heldBy, boundary),
    boundary,
    drainTimeoutMs: DRAIN_MS,
  });
  const pass = (ms: number) => {
    now += ms;
    mock.timers.tick(ms);
  };
  return { launcher, supervisor, held, log, pass };
}

/** The same, with every worker accepting for long enough to count as stable. */
export async function running(t: Test, workers: number): Promise<Stage> {
  const made = stage(t, workers);
  const started = made.supervisor.start();
  for (let incarnation = 1; incarnation <= workers; incarnation++) made.launcher.worker(incarnation).accepts();
  await started;
  made.pass(10_000);
  made.launcher.told();
  return made;
}

/** Lets what awaits a promise that was just settled run. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

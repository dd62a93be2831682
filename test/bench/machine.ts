import { availableParallelism, cpus, release } from 'node:os';
import { type Program, versionText } from './programs.ts';

/** Where the figures come from: they hold for this only. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** `null`: not installed. */
  readonly haproxy: string | null;
  readonly nginx: string | null;
}

export function describeMachine(): Machine {
  const version = (program: Program, pattern: RegExp) => pattern.exec(versionText(program) ?? '')?.[1] ?? null;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
    haproxy: version('haproxy', /version (\S+)/),
    nginx: version('nginx', /nginx\/(\S+)/),
  };
}

export function machineText({ cpu, cores, kernel, node, haproxy, nginx }: Machine): string {
  return [
    `${cpu}, ${cores} core${cores === 1 ? '' : 's'}`,
    `Linux ${kernel}`,
    `Node ${node}`,
    haproxy === null ? 'no HAProxy' : `HAProxy ${haproxy}`,
    nginx === null ? 'no nginx' : `nginx ${nginx}`,
  ].join('; ');
}

// Runs in: cli
import { chooseEngine } from '../adapters/dataplane/choose-engine.ts';
import { loadAddon } from '../adapters/dataplane/epoll/load-addon.ts';
import { connectionBudget, descriptorLimit, FEW_CONNECTIONS, isFew } from '../adapters/outbound/descriptor-limit.ts';
import type { Config } from '../config.ts';
import { EdgeError } from '../errors.ts';

/** What a start needs of this host beside its files. */
export interface HostReport {
  readonly engine: string | null;
  /** Client connections that each worker can hold. */
  readonly connections_a_worker: number;
  readonly warnings: readonly string[];
  readonly errors: readonly EdgeError[];
}

/** Never throws for what it finds. */
export function checkHost(config: Config): HostReport {
  let engine: string | null = null;
  const errors: EdgeError[] = [];
  try {
    engine = chooseEngine(config.engine, loadAddon).engine;
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    errors.push(error);
  }
  const connections = connectionBudget(descriptorLimit(), config.listeners.length);
  return {
    engine,
    connections_a_worker: connections,
    warnings: isFew(connections) ? [FEW_CONNECTIONS] : [],
    errors,
  };
}

export function describeHost({ engine, connections_a_worker }: HostReport): readonly string[] {
  return [`engine: ${engine ?? 'CANNOT BE LOADED'}; ${connections_a_worker} client connections a worker at most`];
}

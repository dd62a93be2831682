// Runs in: worker
import type { Log } from '../../application/ports/log.ts';
import type { LogLevel, WorkerLifecycle } from '../../ipc/lifecycle.ts';

/** A worker's log: records go to the primary, which writes them. `tell` sends a message on Node's IPC channel. */
export function primaryLog(tell: (message: WorkerLifecycle) => void): Log {
  const at = (level: LogLevel) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    tell({ edgeproxy: 'log', level, message, fields });
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

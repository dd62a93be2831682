/** Work that comes again and again. */
export interface Periodic {
  /** There is no further time; resolves when none is under way. */
  stop(): Promise<void>;
}

/**
 * Does `work` every `ms`, each time counted from the end of the time before, so that it never meets itself. What it throws,
 * or rejects with, goes to `failed`, and the next time comes all the same. Keeps no process alive.
 */
export function every(ms: number, work: () => unknown, failed: (error: unknown) => void): Periodic {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let stopped = false;
  const arm = () => {
    running = null;
    if (!stopped) timer = setTimeout(turn, ms).unref();
  };
  const turn = () => {
    try {
      const result = work();
      if (result instanceof Promise) running = result.then(() => {}, failed).finally(arm);
    } catch (error) {
      failed(error);
    } finally {
      if (running === null) arm();
    }
  };
  arm();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

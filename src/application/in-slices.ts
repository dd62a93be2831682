// Runs in: primary

/** Resolves when the caller may run its next slice. */
export type Turn = () => Promise<void>;

/** After whatever the loop has to do now. */
const nextTurn: Turn = () => new Promise((resolve) => setImmediate(resolve));

/** Runs a generator to its end, letting others run at each of its yields. */
export async function inSlices<T>(work: Generator<void, T>, turn: Turn = nextTurn): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await turn();
  }
}

const waiting: (() => void)[] = [];

/**
 * One slice in each turn of the loop, in the order of asking, for all that ask here together: however many answers are
 * in the making, clients wait for no more than one slice of one of them.
 */
export const sharedTurn: Turn = () =>
  new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(releaseOne);
  });

function releaseOne(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(releaseOne);
}

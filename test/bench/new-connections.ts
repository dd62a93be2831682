// A process of its own, started by mixed.ts. Arguments: port, seconds.
import net from 'node:net';
import { percentile } from './statistics.ts';

/** The line of JSON that it prints. From a client's connect to the end behind its answer, in ms. */
export interface NewConnectionsReport {
  readonly p50: number;
  readonly p99: number;
}

const [port, seconds] = process.argv.slice(2).map(Number) as [number, number];

const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n';
/** One begins so often, whatever became of those before: a stall shows in all that it holds up. */
const EVERY_MS = 10;
/** Node compiles what is hot while it runs: what begins in the first second is not counted. */
const WARM_UP_MS = 1000;
/** For those that have begun. */
const GRACE_MS = 10_000;

function fail(why: string): never {
  process.stderr.write(`new connections: ${why}\n`);
  process.exit(1);
}

/** How long one new connection took. */
function one(): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true }, () => socket.write(REQUEST));
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', ({ message }) => fail(message));
    socket.on('close', () => {
      if (!answer.endsWith('ok\n')) fail(`the backend's answer is ${JSON.stringify(answer)}`);
      resolve(performance.now() - start);
    });
  });
}

const uncounted = WARM_UP_MS / EVERY_MS;
const wanted = uncounted + Math.ceil((seconds * 1000) / EVERY_MS);
const begun: Promise<number>[] = [];
const start = performance.now();
await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    // Those that are due by now: the timer may be late.
    while (begun.length < wanted && performance.now() - start >= begun.length * EVERY_MS) begun.push(one());
    if (begun.length < wanted) return;
    clearInterval(timer);
    resolve();
  }, EVERY_MS / 2);
});
setTimeout(() => fail(`not every connection was over ${GRACE_MS} ms after the last had begun`), GRACE_MS).unref();
const took = Float64Array.from((await Promise.all(begun)).slice(uncounted)).sort();
process.stdout.write(`${JSON.stringify({ p50: percentile(took, 0.5), p99: percentile(took, 0.99) })}\n`);

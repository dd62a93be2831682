// A process of its own, started by latency.ts. Arguments: port, connections, requests a second (0: closed loop), seconds.
import { once } from 'node:events';
import net from 'node:net';
import { FixedRate } from './fixed-rate.ts';
import { percentile } from './statistics.ts';

/** The line of JSON that it prints. Closed loop: the rate alone. */
export interface LoadReport {
  /** Answers a second. */
  readonly rate: number;
  /** In us. */
  readonly p50: number;
  readonly p99: number;
  /** The generator's own delay in us, p99: what it adds by being late itself. `null`: every request waited for an answer. */
  readonly delayP99: number | null;
}

const [port, connections, rate, seconds] = process.argv.slice(2).map(Number) as [number, number, number, number];

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
/** Node compiles what is hot while it runs: what is sent in the first second is not counted. */
const WARM_UP_MS = 1000;
/** For the last answers. */
const GRACE_MS = 2000;
const SETUP_MS = 10_000;

let onAnswer: (connection: number) => void = () => {};
/** Of an answer; all are equally long, as the backend always says the same. */
let answerBytes = Number.POSITIVE_INFINITY;

/** `net` without streams on the way in: one buffer, reused. */
async function open(connection: number): Promise<net.Socket> {
  let missing = 0;
  const socket = net.connect({
    host: '127.0.0.1',
    port,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(4096),
      callback: (bytes, buffer) => {
        if (answerBytes === Number.POSITIVE_INFINITY) answerBytes = whole(bytes, buffer);
        missing += bytes;
        if (missing < answerBytes) return true;
        missing -= answerBytes;
        onAnswer(connection);
        return true;
      },
    },
  });
  await once(socket, 'connect', { signal: AbortSignal.timeout(SETUP_MS) });
  socket.on('close', () => fail('a connection was closed'));
  return socket;
}

function whole(bytes: number, buffer: Uint8Array): number {
  if (Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString('latin1').endsWith('\r\n\r\nok\n')) return bytes;
  return fail('the first answer is not what the backend says, or came in pieces');
}

function fail(why: string): never {
  process.stderr.write(`load generator: ${why}\n`);
  process.exit(1);
}

function report(what: Partial<LoadReport>): never {
  process.stdout.write(`${JSON.stringify(what)}\n`);
  process.exit(0);
}

const sockets: net.Socket[] = [];
for (let i = 0; i < connections; i++) sockets.push(await open(i));
const send = (connection: number) => {
  sockets[connection]!.write(REQUEST);
};

/** A first answer on each proves that all have a backend. */
await new Promise<void>((resolve) => {
  const timer = setTimeout(() => fail('not every connection was answered'), SETUP_MS);
  let answers = 0;
  onAnswer = () => {
    if (++answers < connections) return;
    clearTimeout(timer);
    resolve();
  };
  for (let i = 0; i < connections; i++) send(i);
});

/** Asks for the time in every turn instead of sleeping: Node's timers are as coarse as 1 ms, many latencies long. */
function everyTurn(look: (now: number) => void): void {
  look(performance.now());
  setImmediate(everyTurn, look);
}

const start = performance.now();
if (rate === 0) {
  const from = start + WARM_UP_MS;
  const until = from + seconds * 1000;
  let answers = 0;
  onAnswer = (connection) => {
    answers++;
    send(connection);
  };
  for (let i = 0; i < connections; i++) send(i);
  let before = -1;
  everyTurn((now) => {
    if (before < 0 && now >= from) before = answers;
    if (now >= until) report({ rate: (answers - before) / seconds });
  });
} else {
  const uncounted = Math.ceil((rate * WARM_UP_MS) / 1000);
  const load = new FixedRate({ rate, requests: uncounted + Math.ceil(rate * seconds), connections, start });
  onAnswer = (connection) => {
    if (load.answered(connection, performance.now())) send(connection);
  };
  const deadline = load.end + GRACE_MS;
  everyTurn((now) => {
    load.advance(now, send);
    if (!load.done && now < deadline) return;
    const latencies = load.latencies(uncounted, now);
    const us = (sorted: Float64Array, p: number) => percentile(sorted, p) * 1000;
    const delays = load.delays(uncounted);
    const delayP99 = delays.length === 0 ? null : us(delays, 0.99);
    report({ rate, p50: us(latencies, 0.5), p99: us(latencies, 0.99), delayP99 });
  });
}

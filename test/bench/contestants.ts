import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectionBudget, descriptorLimit } from '../../src/adapters/outbound/descriptor-limit.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import type { Backends } from './backends.ts';
import type { Kind } from './measures.ts';
import { family } from './proc.ts';
import { accepts, type Bench, freePort } from './processes.ts';
import { missing, missingStream, pathOf, STREAM_MODULE } from './programs.ts';

export type Engine = 'epoll' | 'stream';

/** What the ratios are to. */
export const REFERENCE = 'haproxy';

/** A proxy that runs, in front of the backends. */
export interface Contestant {
  readonly name: string;
  readonly httpPort: number;
  readonly bulkPort: number;
  /** All of its processes, of ours the primary first. */
  readonly pids: readonly number[];
  readonly stop: () => Promise<void>;
}

/** A proxy that can be started, as often as a measure needs a fresh one. */
export interface Entrant {
  readonly name: string;
  /** `null`: not ours. */
  readonly kind: Kind | null;
  readonly start: (bench: Bench, backends: Backends) => Promise<Contestant>;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const LISTENERS = 2;
const READY_MS = 30_000;

/** Connections that each proxy, the backend and the clients can hold; HAProxy reserves for its maximum when it starts. */
export const CAPACITY = connectionBudget(Math.min(descriptorLimit(), 65_536), LISTENERS);

/** All that can run here: ours with one worker and with one a core, and what there is to compare with. */
export function entrants(engines: readonly Engine[], say: (text: string) => void): Entrant[] {
  const workers = [...new Set([1, availableParallelism()])];
  const all = engines.flatMap((engine) => workers.map((count) => edgeproxy(engine, count)));
  const noHaproxy = missing(['haproxy']);
  if (noHaproxy === null) all.push({ name: REFERENCE, kind: null, start: startHaproxy });
  else say(`without HAProxy, so without ratios: ${noHaproxy}`);
  const noStream = missingStream();
  if (noStream === null) all.push({ name: 'nginx stream', kind: null, start: startNginxStream });
  else say(`without nginx as a proxy: ${noStream}`);
  return all;
}

/** Ours. */
export function edgeproxy(engine: Engine, workers: number): Entrant {
  const name = `${engine}, ${workers} worker${workers === 1 ? '' : 's'}`;
  const kind = engine === 'epoll' && workers > 1 ? 'several epoll' : engine;
  return { name, kind, start: (bench, backends) => startEdgeProxy(bench, backends, name, engine, workers) };
}

async function startEdgeProxy(
  bench: Bench,
  backends: Backends,
  name: string,
  engine: Engine,
  workers: number,
): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const dbPath = join(bench.directory, `${engine}-${workers}.db`);
  writeRoutingDb(dbPath, [
    { id: 'http', app: 'http', port: backends.httpPort, softLimit: 1000 },
    { id: 'bulk', app: 'bulk', port: backends.bulkPort, softLimit: 1000 },
  ]);
  const env = {
    EDGEPROXY_LISTEN_ADDR: `127.0.0.1:${httpPort}=http,127.0.0.1:${bulkPort}=bulk`,
    EDGEPROXY_ADMIN_ADDR: 'off',
    EDGEPROXY_DB_PATH: dbPath,
    EDGEPROXY_ENGINE: engine,
    EDGEPROXY_WORKERS: String(workers),
    EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '1',
  };
  const child = bench.start(process.execPath, [MAIN], { env });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => () => reject(new Error(`edgeproxy (${name}) ${why}:\n${text}`));
    const timer = setTimeout(fail(`was not ready after ${READY_MS} ms`), READY_MS);
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const look = (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes('"msg":"ready"')) return;
      clearTimeout(timer);
      child.stdout!.off('data', look).resume();
      resolve();
    };
    child.stdout!.on('data', look);
    child.once('exit', fail('ended'));
  });
  return { name, httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

async function startHaproxy(bench: Bench, backends: Backends): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const conf = bench.file(
    'haproxy.cfg',
    `global
  nbthread 1
  maxconn ${CAPACITY}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen http
  bind 127.0.0.1:${httpPort} backlog 4096
  server one 127.0.0.1:${backends.httpPort}
listen bulk
  bind 127.0.0.1:${bulkPort}
  server one 127.0.0.1:${backends.bulkPort}
`,
  );
  const child = bench.start(pathOf('haproxy')!, ['-db', '-f', conf]);
  await accepts(httpPort);
  return { name: REFERENCE, httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

async function startNginxStream(bench: Bench, backends: Backends): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const server = (port: number, to: number) =>
    `server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${to}; }`;
  const conf = bench.file(
    'stream.conf',
    `load_module ${STREAM_MODULE};
     daemon off; master_process off; worker_processes 1; pid ${bench.directory}/stream.pid; error_log stderr;
     events { worker_connections ${descriptorLimit()}; }
     stream { proxy_timeout 1h; ${server(httpPort, backends.httpPort)} ${server(bulkPort, backends.bulkPort)} }`,
  );
  const child = bench.start(pathOf('nginx')!, ['-p', bench.directory, '-c', conf]);
  await accepts(httpPort);
  return { name: 'nginx stream', httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

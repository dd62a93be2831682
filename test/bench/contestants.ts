import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { accepts, type Bench, family, freePort, pathOf, STREAM_MODULE } from './processes.ts';

/** A proxy that runs, in front of one backend. */
export interface Contestant {
  readonly name: string;
  readonly httpPort: number;
  readonly bulkPort: number;
  /** All of its processes, ours with the primary. */
  readonly pids: readonly number[];
  readonly stop: () => Promise<void>;
}

export interface Backends {
  /** nginx answering a few bytes. */
  readonly httpPort: number;
  /** iperf3. */
  readonly bulkPort: number;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** nginx as the HTTP backend, on one core like the proxies in front of it. */
export async function startHttpBackend(bench: Bench): Promise<number> {
  const port = await freePort();
  const conf = bench.file(
    'backend.conf',
    `daemon off; master_process off; worker_processes 1; pid ${bench.directory}/backend.pid; error_log stderr;
     events { worker_connections 20000; }
     http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600s;
       server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "ok\\n"; } } }`,
  );
  bench.start(pathOf('nginx')!, ['-p', bench.directory, '-c', conf]);
  await accepts(port);
  return port;
}

export async function startBulkBackend(bench: Bench): Promise<number> {
  const port = await freePort();
  bench.start(pathOf('iperf3')!, ['-s', '-B', '127.0.0.1', '-p', String(port)]);
  await accepts(port);
  return port;
}

export async function startEdgeProxy(
  bench: Bench,
  name: string,
  backends: Backends,
  workers: number,
): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const dbPath = join(bench.directory, `${name.replaceAll(' ', '-')}.db`);
  writeRoutingDb(dbPath, [
    { id: 'http', app: 'http', port: backends.httpPort, softLimit: 1000 },
    { id: 'bulk', app: 'bulk', port: backends.bulkPort, softLimit: 1000 },
  ]);
  const child = bench.start(process.execPath, [MAIN], {
    EDGEPROXY_LISTEN_ADDR: `127.0.0.1:${httpPort}=http,127.0.0.1:${bulkPort}=bulk`,
    EDGEPROXY_ADMIN_ADDR: 'off',
    EDGEPROXY_DB_PATH: dbPath,
    EDGEPROXY_WORKERS: String(workers),
  });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      if (text === 'ready') return;
      text += chunk.toString();
      if (text.includes('"msg":"ready"')) {
        text = 'ready';
        resolve();
      }
    });
    child.once('exit', () => reject(new Error(`edgeproxy ended:\n${text}`)));
  });
  return { name, httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

export async function startHaproxy(bench: Bench, backends: Backends): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const conf = bench.file(
    'haproxy.cfg',
    `global
  nbthread 1
  maxconn 9000
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
  return { name: 'haproxy', httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

export async function startNginxStream(bench: Bench, backends: Backends): Promise<Contestant> {
  const [httpPort, bulkPort] = [await freePort(), await freePort()];
  const server = (port: number, to: number) =>
    `server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${to}; }`;
  const conf = bench.file(
    'stream.conf',
    `load_module ${STREAM_MODULE};
     daemon off; master_process off; worker_processes 1; pid ${bench.directory}/stream.pid; error_log stderr;
     events { worker_connections 40000; }
     stream { proxy_timeout 1h; ${server(httpPort, backends.httpPort)} ${server(bulkPort, backends.bulkPort)} }`,
  );
  const child = bench.start(pathOf('nginx')!, ['-p', bench.directory, '-c', conf]);
  await accepts(httpPort);
  return { name: 'nginx stream', httpPort, bulkPort, pids: family(child.pid!), stop: () => bench.stop(child) };
}

/** All that can run here, started. Ours with one worker, and with one a core. */
export async function startContestants(bench: Bench, backends: Backends): Promise<Contestant[]> {
  const contestants = [await startEdgeProxy(bench, 'edgeproxy 1 worker', backends, 1)];
  const cores = availableParallelism();
  if (cores > 1) contestants.push(await startEdgeProxy(bench, `edgeproxy ${cores} workers`, backends, cores));
  if (pathOf('haproxy') !== null) contestants.push(await startHaproxy(bench, backends));
  if (existsSync(STREAM_MODULE)) contestants.push(await startNginxStream(bench, backends));
  return contestants;
}

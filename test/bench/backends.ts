import { descriptorLimit } from '../../src/adapters/outbound/descriptor-limit.ts';
import { accepts, type Bench, freePort } from './processes.ts';
import { pathOf } from './programs.ts';

/** What the proxies stand in front of. */
export interface Backends {
  /** nginx answering a few bytes. */
  readonly httpPort: number;
  /** iperf3; nothing listens there where it is not installed. */
  readonly bulkPort: number;
}

export async function startBackends(bench: Bench): Promise<Backends> {
  return { httpPort: (await startHttpBackend(bench)).port, bulkPort: await startBulkBackend(bench) };
}

/** nginx as the HTTP backend, on one core like the proxies in front of it. */
export async function startHttpBackend(bench: Bench): Promise<{ port: number; stop: () => Promise<void> }> {
  const port = await freePort();
  // The built-in places are root's.
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${bench.directory}/nginx-${what};`)
    .join(' ');
  const conf = bench.file(
    `backend-${port}.conf`,
    `daemon off; master_process off; worker_processes 1; pid ${bench.directory}/backend-${port}.pid; error_log stderr;
     events { worker_connections ${descriptorLimit()}; }
     http { access_log off; ${temporary} keepalive_requests 100000000; keepalive_timeout 3600s;
       server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "ok\\n"; } } }`,
  );
  const child = bench.start(pathOf('nginx')!, ['-p', bench.directory, '-c', conf]);
  await accepts(port);
  return { port, stop: () => bench.stop(child) };
}

async function startBulkBackend(bench: Bench): Promise<number> {
  const port = await freePort();
  const iperf3 = pathOf('iperf3');
  if (iperf3 !== null) {
    bench.start(iperf3, ['-s', '-B', '127.0.0.1', '-p', String(port)]);
    await accepts(port);
  }
  return port;
}

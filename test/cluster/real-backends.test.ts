import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { accepts, freePort } from '../bench/processes.ts';
import { PROGRAMS, type Program, pathOf } from '../bench/programs.ts';
import { onEachEngine } from '../fixtures/engines.ts';
import { startProxy } from '../fixtures/proxy.ts';

/** Starts a server from Debian's packages on loopback, ended with the test. */
async function startServer(t: Test, program: Program, args: readonly string[], port: number): Promise<void> {
  const child = spawn(pathOf(program)!, args, { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  t.teardown(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await accepts(port);
}

/** Fetches over one connection that is kept open; resolves with status, body, and whether the connection was used before. */
function get(
  agent: http.Agent,
  port: number,
  path: string,
): Promise<{ status: number; body: Buffer; reused: boolean }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks), reused: request.reusedSocket });
      });
    });
    request.on('error', reject);
  });
}

const missing = (['nginx', 'haproxy'] as const).filter((program) => pathOf(program) === null);
const skip =
  missing.length > 0 &&
  `not installed: ${missing.join(', ')} (Debian: apt-get install ${missing.map((program) => PROGRAMS[program]).join(' ')})`;

onEachEngine(
  t,
  'nginx, and nginx behind HAProxy, serve through the proxy as they do without it',
  async (t, engine) => {
    const directory = t.testdir({ www: {} });
    const file = randomBytes(5_000_000);
    writeFileSync(join(directory, 'www', 'file'), file);
    const [nginxPort, haproxyPort] = [await freePort(), await freePort()];
    const nginxConf = join(directory, 'nginx.conf');
    writeFileSync(
      nginxConf,
      `daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
     events {}
     http { access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
       uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
       server { listen 127.0.0.1:${nginxPort}; root ${directory}/www; location = / { return 200 "ok"; } } }`,
    );
    await startServer(t, 'nginx', ['-p', directory, '-c', nginxConf], nginxPort);
    const haproxyConf = join(directory, 'haproxy.cfg');
    writeFileSync(
      haproxyConf,
      `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen web
  bind 127.0.0.1:${haproxyPort}
  server nginx 127.0.0.1:${nginxPort}
`,
    );
    await startServer(t, 'haproxy', ['-db', '-f', haproxyConf], haproxyPort);

    const rows = [
      { id: 'nginx', app: 'plain', port: nginxPort },
      { id: 'haproxy', app: 'chained', port: haproxyPort },
    ];
    const env = { EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0=plain,127.0.0.1:0=chained' };
    const proxy = await startProxy(t, { rows, engine, env });
    for (const [i, { id }] of rows.entries()) {
      const port = proxy.ports[i]!;
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      t.match(await get(agent, port, '/'), { status: 200, body: Buffer.from('ok'), reused: false }, id);
      const answer = await get(agent, port, '/file');
      t.ok(answer.reused, `${id}: over the same connection`);
      t.ok(answer.body.equals(file), `${id}: byte for byte`);
      t.equal((await get(agent, port, '/none')).status, 404);
      agent.destroy();
      t.match(await proxy.logged('connection', ({ backend }) => backend === id), { why: 'picked', close: 'finished' });
    }
  },
  skip,
);

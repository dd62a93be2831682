import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { Explanation } from '../../src/application/explain-pick.ts';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { isAlive, ROOT, type WorkerInfo } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { drain, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

// The invariants of a proxy under pm2, with the configuration that we ship: `pm2 start` returns when it serves, a roll
// and a stop cut nobody, and a killed primary comes back on the same port with clean books and nothing left behind.

/** What `pm2 jlist` tells of a process, as far as we read it. */
interface Pm2Process {
  readonly name: string;
  readonly pid: number;
  readonly pm2_env: {
    readonly status: string;
    readonly restart_time: number;
    readonly node_version?: string;
    readonly kill_timeout: number;
  };
}

/** More than the default, so that what is derived from it shows. */
const DRAIN_SECS = 60;
// In the system's directory for such, not in tap's: sockets lie in it, and their paths end at about 100 characters.
const home = mkdtempSync(join(tmpdir(), 'ep-'));
// pm2 hands a script whose path has a blank to a shell, which takes it for two.
const checkout = join(home, 'a checkout');
mkdirSync(checkout);
for (const name of ['src', 'workers', 'node_modules', 'package.json'])
  symlinkSync(join(ROOT, name), join(checkout, name));
cpSync(join(ROOT, 'ecosystem.config.cjs'), join(checkout, 'ecosystem.config.cjs'));
const dbPath = join(home, 'routing.db');
// An address of our own, so that nobody takes our ports while the proxy is between two lives.
const host = `127.${[...randomBytes(3)].map((byte) => 1 + (byte % 253)).join('.')}`;
const port = await freePort();
const adminPort = await freePort(port);
const env = {
  ...CLEAN_ENV,
  HOME: home,
  PM2_HOME: home,
  // No banner, and no question to pm2's makers about its version.
  PM2_DISCRETE_MODE: 'true',
  EDGEPROXY_LISTEN_ADDR: `${host}:${port}`,
  EDGEPROXY_ADMIN_ADDR: `${host}:${adminPort}`,
  EDGEPROXY_DB_PATH: dbPath,
  EDGEPROXY_WORKERS: '2',
  EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: String(DRAIN_SECS),
};

async function pm2(...args: string[]): Promise<string> {
  const script = join(ROOT, 'node_modules/pm2/bin/pm2');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], { env, cwd: home });
  return stdout;
}

const start = () => pm2('start', join(checkout, 'ecosystem.config.cjs'));

async function listed(): Promise<Pm2Process> {
  const processes = JSON.parse(await pm2('jlist')) as Pm2Process[];
  if (processes.length !== 1) throw new Error(`pm2 lists ${processes.length} processes`);
  return processes[0]!;
}

/** Asks the admin API; `undefined` while there is none. */
async function ask<T>(path: string): Promise<T | undefined> {
  const response = await fetch(`http://${host}:${adminPort}${path}`).catch(() => undefined);
  return response && ((await response.json()) as T);
}

async function workers(): Promise<WorkerInfo[]> {
  return (await ask<{ workers: WorkerInfo[] }>('/api/v1/workers'))?.workers ?? [];
}

async function serving(count: number): Promise<WorkerInfo[]> {
  return until(
    `${count} workers serving`,
    async () => {
      const all = await workers();
      return all.length === count && all.every(({ state }) => state === 'serving') && all;
    },
    proxyLog,
  );
}

async function held(): Promise<number> {
  const answer = await ask<{ backends: { connections: number }[] }>('/api/v1/backends');
  return answer?.backends.reduce((sum, { connections }) => sum + connections, 0) ?? -1;
}

/** A client that was greeted; rejects when it is refused, or cut before the greeting. */
async function visit(): Promise<Socket> {
  const socket = net.connect({ host, port, allowHalfOpen: true });
  clients.push(socket);
  await once(socket, 'connect');
  socket.on('error', () => {});
  const greeting = await readLine(socket);
  if (greeting !== 'one') throw new Error(`greeted with ${greeting}\n${proxyLog()}`);
  return socket;
}

async function echo(socket: Socket, text: string): Promise<string | null> {
  socket.write(`${text}\n`);
  return readLine(socket);
}

/** The proxy's last words, without its access records. */
function proxyLog(): string {
  const lines = readFileSync(join(home, 'logs/edgeproxy-out.log'), 'utf8').split('\n');
  return lines
    .filter((line) => !line.includes('"msg":"connection"'))
    .slice(-30)
    .join('\n');
}

/** The number in one of pm2's files; 0 when it is not there. */
function pidIn(file: string): number {
  const path = join(home, file);
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
}

async function freePort(not = 0): Promise<number> {
  const server = net.createServer().listen(0, host);
  await once(server, 'listening');
  const { port: found } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return found === not ? freePort(not) : found;
}

// Two starts of the proxy and nine of pm2's command: seconds, but more of them on a machine with other work.
t.setTimeout(120_000);

const clients: Socket[] = [];
// For a test that failed; the last one leaves nothing to do. The daemon first, or it would start the proxy again.
t.teardown(() => {
  for (const client of clients) client.destroy();
  for (const file of ['pm2.pid', 'pids/edgeproxy-0.pid']) {
    const pid = pidIn(file);
    if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
  rmSync(home, { recursive: true, force: true });
});

const backend = await startBackend(t, 'one');
writeRoutingDb(dbPath, [{ id: 'one', port: backend.port }]);

await t.test('a wrong configuration is told, and not tried again', async (t) => {
  env.EDGEPROXY_WORKERS = 'many';
  await start();
  // A process that pm2 means to start again would keep its number.
  t.match(await listed(), { pid: 0, pm2_env: { restart_time: 0 } });
  t.match(readFileSync(join(home, 'logs/edgeproxy-error.log'), 'utf8'), /EDGEPROXY_WORKERS="many": may hold /);
  env.EDGEPROXY_WORKERS = '2';
});

await t.test('pm2 start returns when the proxy serves, run by the pinned Node', async (t) => {
  await start();
  // Nothing waits here: a start that returned early would find the port closed.
  (await visit()).destroy();
  t.same(
    (await workers()).map(({ state }) => state),
    ['serving', 'serving'],
  );

  const { name, pm2_env } = await listed();
  t.match({ name, ...pm2_env }, { name: 'edgeproxy', status: 'online', restart_time: 0 });
  t.equal(pm2_env.node_version, process.versions.node);
  t.ok(pm2_env.kill_timeout > DRAIN_SECS * 1000, 'pm2 is more patient than the drain');
});

await t.test('pm2 sendSignal SIGUSR2 rolls the workers, and no connection is refused or cut', async (t) => {
  const before = await serving(2);
  const staying = await visit();
  let visits = 0;
  let rolled = false;
  const visiting = (async () => {
    for (; !rolled; visits++) (await visit()).destroy();
  })();
  visiting.catch(() => {});

  const old = new Set(before.map(({ pid }) => pid));
  const successors = () =>
    workers().then((all) => all.filter(({ pid, state }) => !old.has(pid) && state === 'serving'));
  try {
    await pm2('sendSignal', 'SIGUSR2', 'edgeproxy');
    await until('two successors', async () => (await successors()).length === 2, proxyLog);
  } finally {
    rolled = true;
  }
  await visiting;
  t.ok(visits > 0, `${visits} clients were served meanwhile`);

  t.equal(await echo(staying, 'still here'), 'still here', 'an old worker keeps its connection');
  staying.end();
  t.same(await drain(staying), { bytes: Buffer.alloc(0), reset: false });
  await serving(2);
  await until('the old workers to be gone', () => ![...old].some(isAlive));
});

await t.test('a killed primary is started again, with clean books and no old worker', async (t) => {
  const { pid } = await listed();
  const old = (await serving(2)).map((worker) => worker.pid);
  const cut = await visit();
  t.equal(await held(), 1);
  const ended = drain(cut);

  process.kill(pid, 'SIGKILL');
  await ended;
  await until('the old processes to be gone', () => ![pid, ...old].some(isAlive));
  const successors = await serving(2);
  t.notOk(successors.some((worker) => old.includes(worker.pid)));
  t.equal(await held(), 0, 'nobody holds a slot');
  const explained = await ask<Explanation>('/api/v1/explain?ip=127.0.0.1');
  t.equal(explained?.binding, null, 'nobody is bound');
  t.match(explained?.choice, { backend: 'one', why: 'picked' });
  (await visit()).destroy();

  const again = await until('pm2 to call it online', async () => {
    const process = await listed();
    return process.pm2_env.status === 'online' && process;
  });
  t.not(again.pid, pid);
  t.equal(again.pm2_env.restart_time, 1);
});

await t.test('pm2 stop drains: an open connection ends as its two sides end it, and no process is left', async (t) => {
  const { pid } = await listed();
  const ours = [pid, ...(await serving(2)).map((worker) => worker.pid)];
  const open = await visit();
  let stopped = false;
  const stopping = pm2('stop', 'edgeproxy').then(() => {
    stopped = true;
  });

  // The worker that serves nobody goes at once; the other one drains.
  const draining = async () => {
    const all = await workers();
    return all.length > 0 && all.every(({ state }) => state === 'draining');
  };
  await until('the stop', draining, proxyLog);
  t.equal(await echo(open, 'to the end'), 'to the end');
  t.notOk(stopped, 'pm2 waits');
  open.end('last words');
  t.same(await drain(open), { bytes: Buffer.from('last words'), reset: false });

  await stopping;
  t.notOk(ours.some(isAlive), 'neither primary nor workers');
  t.match(await listed(), { pid: 0, pm2_env: { status: 'stopped', restart_time: 1 } });
  t.match(proxyLog(), /"msg":"stopped"/);
  t.notMatch(proxyLog(), /connections reset/);
});

await t.test('pm2 kill ends its daemon', async (t) => {
  const daemon = pidIn('pm2.pid');
  t.ok(isAlive(daemon));
  await pm2('kill');
  await until('the daemon to be gone', () => !isAlive(daemon));
});

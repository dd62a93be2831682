import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { SKIPPED } from '../fixtures/engines.ts';
import { isAlive, kill, ROOT, startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

const MAIN = join(ROOT, 'src/main.ts');

for (const [how, first] of [
  ['SIGINT', 'SIGINT'],
  ['SIGQUIT', 'SIGQUIT'],
  ["pm2's message", null],
] as const) {
  t.test(`${how} finishes what is open, and ends with 0`, async (t) => {
    const backend = await startBackend(t, 'one');
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], ipc: 'stay' });
    const workers = await proxy.workers();
    const client = (await greet(proxy.port))!;
    if (first === null) proxy.child.send('shutdown');
    // To the whole group, as a terminal and an init system do it: workers leave it to the primary.
    else for (const pid of [proxy.pid, ...workers.map(({ pid }) => pid)]) process.kill(pid, first);
    await proxy.logged('worker draining', ({ connections }) => connections === 1);
    const echo = readLine(client.socket);
    client.socket.write('last words\n');
    t.equal(await echo, 'last words');
    client.socket.end();
    t.same(await proxy.exited, { code: 0, signal: null });
    for (const { pid } of workers) t.notOk(isAlive(pid));
  });
}

t.test('a second SIGINT, when it is no echo of the first, ends it at once', async (t) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '600' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  const client = (await greet(proxy.port))!;
  proxy.signal('SIGINT');
  await proxy.logged('stopping: draining connections');
  // The time in which it would be one; the proxy's clock is this machine's.
  await delay(300);
  proxy.signal('SIGINT');
  t.same(await proxy.exited, { code: 1, signal: null });
  client.socket.destroy();
});

t.test('SIGHUP looks at the routing database now', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [], env: { EDGEPROXY_DB_RELOAD_SECS: '3600' } });
  t.equal(await greet(proxy.port), null, 'there is no backend');
  writeRoutingDb(proxy.dbPath, [{ id: 'one', port: backend.port }]);
  proxy.signal('SIGHUP');
  await proxy.logged('routing table loaded', ({ backends }) => backends === 1);
  (await greet(proxy.port))!.socket.destroy();
});

t.test('SIGUSR1 opens no port for debuggers, in no process of the proxy', async (t) => {
  const backend = await startBackend(t, 'one');
  const directory = t.testdir({ 'hangs.cjs': "if (process.env.EDGEPROXY_INTERNAL_INCARNATION === '3') for (;;);" });
  const env = { NODE_OPTIONS: `--require=${join(directory, 'hangs.cjs')}` };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  for (const { pid } of await proxy.workers()) process.kill(pid, 'SIGUSR1');
  proxy.signal('SIGUSR1');
  proxy.signal('SIGTTIN');
  const starting = await until('a third worker', async () =>
    (await proxy.workers()).find(({ state }) => state === 'starting'),
  );
  t.teardown(() => kill(starting.pid));
  await until('it to block the signal before any code of ours runs', () => isBlocked(starting.pid, 10));
  (await greet(proxy.port))!.socket.destroy();
  // Node would have said that it opened one.
  t.same(proxy.noise, []);
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  t.match(scripts.start, '--disable-sigusr1', 'nor while the primary itself still loads');
});

/** Whether a process blocks a signal, as the kernel has it. Linux. */
function isBlocked(pid: number, signal: number): boolean {
  const mask = /^SigBlk:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

const noScript = spawnSync('script', ['--version']).status !== 0 && 'there is no `script` to make a terminal with';
t.test("a terminal's job control changes no number of workers", { skip: noScript }, async (t) => {
  const directory = t.testdir();
  const env = {
    ...CLEAN_ENV,
    EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0',
    EDGEPROXY_ADMIN_ADDR: 'off',
    EDGEPROXY_WORKERS: '1',
  };
  const command = `echo pid=$$; exec ${process.execPath} ${MAIN}`;
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: directory,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.teardown(() => terminal.kill('SIGKILL'));
  let shown = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  const context = () => shown;
  const pid = Number(await until('its pid', () => /pid=(\d+)/.exec(shown)?.[1], context));
  t.teardown(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
  await until('it to be ready', () => /ready/.test(shown), context);
  process.kill(pid, 'SIGTTIN');
  process.kill(pid, 'SIGTTOU');
  process.kill(pid, 'SIGTERM');
  await until('it to be gone', () => !isAlive(pid), context);
  // Of what it had written, some is still on its way through the terminal when it is gone.
  await until('its last words', () => /stopped/.test(shown), context);
  t.notMatch(shown, /scaling/);
});

t.test('a worker that is stopped does not outlive its primary', { skip: SKIPPED.epoll }, async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }] });
  const workers = await proxy.workers();
  const stateOf = (pid: number) => /^State:\s*(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  for (const { pid } of workers) {
    process.kill(pid, 'SIGSTOP');
    await until(`worker ${pid} to be stopped`, () => stateOf(pid) === 'T');
  }
  t.teardown(() => workers.forEach(({ pid }) => void (isAlive(pid) && process.kill(pid, 'SIGKILL'))));
  proxy.signal('SIGKILL');
  for (const { pid } of workers) await until(`worker ${pid} to be gone`, () => !isAlive(pid));
  t.pass('none is left');
});

t.test('the primary takes no arguments but those that ask about it', async (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], { cwd: t.testdir(), encoding: 'utf8' });
  t.match(run('--help'), { status: 0, stdout: /EDGEPROXY_LISTEN_ADDR/, stderr: '' });
  t.match(run('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
  t.match(run('workers', 'list'), {
    status: 2,
    stdout: '',
    stderr: /^edgeproxy: the proxy takes no arguments.*variables/,
  });
});

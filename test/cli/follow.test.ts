import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';
import { CLI, runCli } from './run-cli.ts';

// The commands beside a proxy that runs. It looks at its database once a day by itself: what it sees, it was told.
const env = { EDGEPROXY_DB_RELOAD_SECS: '86400', EDGEPROXY_WORKERS: '1' };

function commandsFor(proxy: RunningProxy, more: Readonly<Record<string, string>> = {}) {
  const given = { EDGEPROXY_ADMIN_ADDR: proxy.admin.replace('http://', ''), EDGEPROXY_DB_PATH: proxy.dbPath, ...more };
  return {
    env: given,
    run: (...args: string[]) => runCli(args, { cwd: proxy.directory, env: given }),
  };
}

t.test('what an edit wrote is served when the command returns', async (t) => {
  const backend = await startBackend(t, 'b1');
  const proxy = await startProxy(t, { env });
  const { run } = commandsFor(proxy);
  const add = ['backends', 'add', 'b1', '--region', 'sa', '--host', '127.0.0.1', '--port', String(backend.port)];
  const added = await run(...add);
  t.match(added, { code: 0, stderr: '' });
  t.match(added.stdout, /^the running proxy has it: routing table \d+, 1 backend$/m);
  t.match(added.stdout, `routing database ${realpathSync(proxy.dbPath)}\n`);
  const client = await greet(proxy.port);
  t.equal(client?.backend, 'b1', 'a client that comes now is served');
  client?.socket.destroy();

  const stateNow = async () => (await proxy.backends())[0]?.state;
  const edits: readonly (readonly [string[], string | undefined])[] = [
    [['disable', 'b1'], 'unhealthy'],
    [['enable', 'b1'], 'serving'],
    [['set', 'b1', '--weight', '0'], 'draining'],
    [['remove', 'b1'], 'deleted'],
    [['delete', 'b1', '--yes'], undefined],
  ];
  await until('the client to be gone', async () => (await proxy.held()) === 0);
  for (const [args, state] of edits) {
    const { code, stdout } = await run('backends', ...args, '--json');
    t.equal(code, 0);
    t.match(JSON.parse(stdout), { proxy: { seen: true, version: Number } }, args.join(' '));
    t.equal(await stateNow(), state, args.join(' '));
  }
  const { stdout } = await run(...add, '--no-wait');
  t.match(stdout, /a running proxy of this database sees it within 5 s/);
  t.equal(await stateNow(), undefined, 'nobody told it');
});

t.test('a proxy of another database is named, one of the same file by another name is not', async (t) => {
  const proxy = await startProxy(t, { env, rows: [{ id: 'b1' }] });
  const link = join(proxy.directory, 'link.db');
  symlinkSync(proxy.dbPath, link);
  const edit = ['backends', 'set', 'b1', '--weight', '2'];
  const same = await commandsFor(proxy, { EDGEPROXY_DB_PATH: link }).run(...edit);
  t.match(same.stdout, /^the running proxy has it/m);
  const other = commandsFor(proxy, { EDGEPROXY_DB_PATH: 'other.db' });
  const add = ['backends', 'add', 'x', '--region', 'sa', '--host', '10.0.0.1', '--port', '80'];
  const warning = `warning: the proxy that runs serves another database, ${realpathSync(proxy.dbPath)}:`;
  const added = await other.run(...add);
  t.match(added, { code: 0, stderr: '' });
  t.match(added.stdout, warning);
  const listed = await other.run('backends', 'list');
  t.match(listed.stderr, warning);
  t.match(listed.stdout, /^ID +APP +PLACE +ADDRESS +WEIGHT +SOFT +HARD +STATE\nx /);
});

t.test('a proxy that cannot load what was written is not said to have it', async (t) => {
  const proxy = await startProxy(t, { env: { ...env, EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0' }, rows: [{ id: 'b1' }] });
  // An address of the proxy's own, which the command cannot know: its environment says another.
  const { code, stdout } = await commandsFor(proxy).run('backends', 'set', 'b1', '--port', String(proxy.port));
  t.equal(code, 0);
  t.match(stdout, /^warning: the running proxy could not load it: each of its 1 rows/m);
});

t.test('list and status show connections and state, and status fits one screen', async (t) => {
  const backend = await startBackend(t, 'busy');
  const rows = Array.from({ length: 30 }, (_, i) => ({ id: `quiet-${i}`, port: 9000 + i, healthy: i > 0, weight: 0 }));
  const proxy = await startProxy(t, { env, rows: [...rows, { id: 'busy', port: backend.port, hardLimit: 1 }] });
  const client = await greet(proxy.port);
  t.teardown(() => client?.socket.destroy());
  t.equal(await greet(proxy.port), null, 'the second one is refused');
  const { run } = commandsFor(proxy);

  const list = (await run('backends', 'list')).stdout;
  t.match(list, /^ID +APP +PLACE +ADDRESS +WEIGHT +CONNS +SOFT +HARD +STATE$/m);
  t.match(list, /^busy .* 1 +1 +10 +1 +full$/m);
  t.match(list, /^quiet-0 .* 0 +0 +10 +- +unhealthy$/m);
  const { backends } = JSON.parse((await run('backends', 'list', '--json')).stdout) as { backends: object[] };
  t.match(backends[0], { id: 'busy', connections: 1, state: 'full' });

  const { code, stdout, stderr } = await run('status');
  t.match({ code, stderr }, { code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  t.match(lines[0], /^ready +edgeProxy \d+\.\d+\.\d+, pid \d+, up /, 'first of all whether it can serve');
  t.ok(lines.length <= 23, `${lines.length} lines`);
  t.ok(lines.every((line) => line.length <= 80));
  t.match(stdout, /^clients +1 slot held, 2 came since the start, 1 refused: all_full 1$/m);
  t.match(stdout, /^routing +table 1, .* old, looked at .* ago; 31 backends;/m);
  t.match(stdout, /^workers +1 of 1 serve; pid and connections: \d+ 1$/m);
  t.match(stdout, new RegExp(`^listeners +127\\.0\\.0\\.1:${proxy.port}; admin `, 'm'));
  t.match(stdout, /^backends +31: 1 full, 29 draining, 1 unhealthy$/m);
  t.match(stdout, /EDGEPROXY_WORKERS=1/);
  t.match(stdout, /^busy +eu +1 +10 +1 +1 +full$/m, 'the busiest one');
  const json = JSON.parse((await run('status', '--json')).stdout) as object;
  t.match(json, { readiness: { ready: true }, connections: { active: 1 }, workers: { desired: 1 } });
});

t.test('status says first why it is not ready', async (t) => {
  const proxy = await startProxy(t, { env });
  const { stdout } = await commandsFor(proxy).run('status');
  t.match(stdout, /^NOT READY +edgeProxy .*\n(.*\n)? +! no backend/);
});

/** The command itself, whose output is read while it runs. */
function follow(t: Test, command: string, args: readonly string[], given: Readonly<Record<string, string>>) {
  const child: ChildProcess = spawn(command, args, {
    env: { ...CLEAN_ENV, ...given },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  const exited = once(child, 'exit');
  return { child, exited, text: () => text };
}

t.test('--watch shows it again and again, outlives the proxy, and is ended by Ctrl-C', async (t) => {
  const proxy = await startProxy(t, { env, rows: [{ id: 'b1' }] });
  const { env: given } = commandsFor(proxy);
  const args = [CLI, 'status', '--watch', '--interval', '1'];
  const watching = follow(t, process.execPath, args, given);
  const times = (what: RegExp) => [...watching.text().matchAll(what)].length;
  await until('three looks', () => times(/^ready /gm) >= 3);
  await proxy.stop();
  await until('the end of the proxy to show', () => times(/could not be reached/g) > 0);
  t.notMatch(watching.text(), '\x1b', 'what is no terminal is not drawn upon');
  watching.child.kill('SIGINT');
  t.same(await watching.exited, [0, null]);
});

t.test('--watch --json is a document a line', async (t) => {
  const proxy = await startProxy(t, { env, rows: [{ id: 'b1' }] });
  const { env: given } = commandsFor(proxy);
  const args = [CLI, 'backends', 'list', '--watch', '--interval', '1', '--json'];
  const watching = follow(t, process.execPath, args, given);
  await until('two looks', () => watching.text().split('\n').length > 2);
  watching.child.kill('SIGTERM');
  t.same(await watching.exited, [0, null]);
  for (const line of watching.text().trimEnd().split('\n'))
    t.match(JSON.parse(line), { backends: [{ id: 'b1', connections: 0 }] });
});

t.test('on a terminal q ends it', { skip: process.platform !== 'linux' && 'script(1) of Linux' }, async (t) => {
  const proxy = await startProxy(t, { env, rows: [{ id: 'b1' }] });
  const { env: given } = commandsFor(proxy);
  const line = `stty cols 80 rows 24; exec '${process.execPath}' '${CLI}' status --watch`;
  const watching = follow(t, 'script', ['-qec', line, '/dev/null'], { ...given, SHELL: '/bin/sh', TERM: 'xterm' });
  await until('a look', () => watching.text().includes('b1 '));
  watching.child.stdin!.write('q');
  t.same(await watching.exited, [0, null]);
});

import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';
import { runCli } from './run-cli.ts';

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/).join('|'));

t.test('explain and workers, of a proxy that runs', async (t) => {
  const backend = await startBackend(t, 'sa-1');
  const proxy = await startProxy(t, {
    env: { EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0,127.0.0.1:0=game', EDGEPROXY_REGION: 'eu' },
    rows: [
      { id: 'sa-1', port: backend.port, region: 'sa', country: 'BR', softLimit: 4 },
      { id: 'us-1', region: 'us', app: 'game', healthy: false },
      { id: 'us-2', region: 'us', host: '127.0.0.2', port: 1 },
    ],
  });
  const admin = proxy.admin.replace('http://', '');
  const run = (...args: string[]) => runCli(args, { env: { EDGEPROXY_ADMIN_ADDR: admin, COLUMNS: '120' } });
  const explainLines = async (...args: string[]) => lines((await run('explain', ...args)).stdout);

  const [client, listener, binding, choice, , head, ...rows] = await explainLines('200.160.0.8');
  t.equal(client, 'client|200.160.0.8, country BR, region sa');
  t.equal(listener, `listener|127.0.0.1:${proxy.port}, any app; routing table 1`);
  t.equal(binding, 'binding|none');
  t.equal(choice, 'choice|sa-1: the lowest score');
  t.equal(head, 'BACKEND|APP|PLACE|ADDRESS|TIER|CONNS|SOFT|HARD|WEIGHT|SCORE|EXCLUDED');
  t.same(rows, [
    `*|sa-1|-|sa/BR|127.0.0.1:${backend.port}|country|0|4|-|1|0 + 0|-`,
    'us-2|-|us|127.0.0.2:1|elsewhere|0|10|-|1|300 + 0|-',
    'us-1|game|us|127.0.0.1:9001|elsewhere|0|10|-|1|300 + 0|disabled',
  ]);

  const limited = await explainLines('200.160.0.8', '--limit', '1');
  t.equal(limited.at(-1), 'and 2 more: --limit 3 shows them');
  const game = await explainLines('10.0.0.1', '--listener', 'game');
  t.equal(game[0], "client|10.0.0.1, country unknown: the POP's region eu is preferred");
  t.equal(game[3], 'choice|refused: no backend of this app is enabled');
  const neighbour = await explainLines('193.0.6.139');
  t.equal(
    neighbour[0],
    'client|193.0.6.139, country NL, region eu (no backend serves there: its neighbour us stands in)',
  );

  const json = await run('explain', '::ffff:200.160.0.8', '--json', '--limit', '1');
  t.match(JSON.parse(json.stdout), {
    client: '200.160.0.8',
    geo: { country: 'BR', region: 'sa' },
    choice: { backend: 'sa-1', why: 'picked' },
    candidates: [{ id: 'sa-1', wg_ip: '127.0.0.1', soft_limit: 4, tier: 0, score: 0, excluded: null }],
    omitted: 2,
  });
  t.match(await run('explain', '10.0.0.1', '--listener', 'nope'), { code: 2, stderr: /no listener nope; there are: / });

  const socket = net.connect(proxy.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  await once(socket, 'data');
  await until('the connection is counted', async () => (await proxy.held()) === 1);
  const held = await explainLines('127.0.0.1');
  t.match(held[2], /^binding\|sa-1, for .+, 1 connection of the client open$/);
  t.equal(held[3], 'choice|sa-1: its binding');
  t.ok(
    held.some((line) => line.includes('|1|4|-|1|300 + 0.25|-')),
    'the load that the connection makes',
  );

  const listed = await run('workers', 'list', '--json');
  const { workers } = JSON.parse(listed.stdout) as { workers: { pid: number; connections: number }[] };
  t.same(
    workers.map(({ pid }) => pid),
    (await proxy.workers()).map(({ pid }) => pid),
  );
  const table = lines((await run('workers', 'list')).stdout);
  t.equal(table[0], 'PID|INCARNATION|STATE|CONNECTIONS');
  t.same(
    table.slice(1),
    workers.map(({ pid, connections }, i) => `${pid}|${i + 1}|serving|${connections}`),
  );

  const rolled = await run('workers', 'roll');
  t.match(rolled, { code: 0, stdout: /^replaced 2 workers; 1 connection of theirs may end .* for \d s more, and/ });
  t.match(rolled.stderr, /^rolling 2 workers, one at a time\n1 connection open: what still is 5 s after its worker/);
  const serving = await proxy.serving();
  t.same(
    serving.map(({ incarnation }) => incarnation),
    [3, 4],
  );
  for (const { pid, incarnation } of serving) {
    t.match(rolled.stderr, `  worker ${pid} (incarnation ${incarnation}) accepts connections\n`);
  }
  socket.destroy();

  t.match(await run('workers', 'scale', '1'), { code: 0, stdout: /^the proxy now keeps 1 worker: "workers list"/ });
  await until('one worker is left', async () => (await proxy.workers()).length === 1);
  const scaled = await run('workers', 'scale', '2', '--json');
  t.same(JSON.parse(scaled.stdout), { count: 2 });
  await until('two workers serve', async () => (await proxy.serving()).length === 2);
  const again = await run('workers', 'roll', '--json');
  t.same(JSON.parse(again.stdout), { replaced: 2, draining: 0, resetInMs: 0, stopping: false });
  t.equal(again.stderr, '');
});

t.test('a roll that is waited for says what had to be reset', async (t) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '1' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  const run = (...args: string[]) => runCli(args, { env: { EDGEPROXY_ADMIN_ADDR: new URL(proxy.admin).host } });
  const clients = [(await greet(proxy.port))!, (await greet(proxy.port))!];
  for (const { socket } of clients) socket.on('error', () => {});
  const listing = run('workers', 'roll', '--wait');
  const rolled = await listing;
  t.match(rolled, { code: 0, stdout: 'replaced 2 workers; 2 connections had to be reset\n' });
  t.match(rolled.stderr, /worker \d+ \(incarnation 1\) has ended\n/);
  const { socket } = (await greet(proxy.port))!;
  const finished = run('workers', 'roll', '--wait', '--json');
  await proxy.logged('worker draining', ({ connections, incarnation }) => connections === 1 && Number(incarnation) > 2);
  socket.end();
  t.match(JSON.parse((await finished).stdout), { replaced: 2, reset: 0 });
});

t.test('a unix socket, and a token', async (t) => {
  const token = 'sixteen-characters-or-more';
  const env = { EDGEPROXY_ADMIN_ADDR: 'unix:admin.sock', EDGEPROXY_ADMIN_TOKEN: token, EDGEPROXY_WORKERS: '1' };
  // Relative: paths of sockets are short. The proxy's working directory is its own.
  const { directory: cwd } = await startProxy(t, { env });
  const args = ['workers', 'list', '--admin', 'unix:admin.sock'];
  const allowed = await runCli(args, { cwd, env: { EDGEPROXY_ADMIN_TOKEN: token } });
  t.match(allowed, { code: 0, stdout: /serving/ });
  const refused = await runCli(args, { cwd });
  t.match(refused, { code: 9, stdout: '', stderr: /asks for another token: set EDGEPROXY_ADMIN_TOKEN/ });
  const wrong = await runCli([...args, '--json'], { cwd, env: { EDGEPROXY_ADMIN_TOKEN: 'not-the-one-it-has-there' } });
  t.equal(wrong.code, 9);
  t.match(JSON.parse(wrong.stderr), { error: { code: 'EDGE_ERR_ADMIN_REFUSED' } });
  const empty = await runCli(['explain', '10.0.0.1'], { cwd, env });
  t.match(empty, { code: 0, stdout: /refused: no backend of this app is enabled\n\nno backends in the routing table/ });
});

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { adminClient } from '../../src/cli/admin-options.ts';
import { runProgram } from '../../src/cli/program.ts';
import { runCli } from './run-cli.ts';

/** A server of ours in the place of the proxy, for answers that a proxy gives rarely or never. */
async function listen(t: Test, server: net.Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

const answering = (status: number, body: string) =>
  http.createServer((request, response) => {
    request.resume();
    response.writeHead(status).end(body);
  });

const error = (code: string, message: string) => JSON.stringify({ error: { code, message } });

t.test('answers, and what becomes of them', async (t) => {
  const answers: readonly (readonly [number, string, number, RegExp])[] = [
    [409, error('EDGE_ERR_BUSY', 'a roll is under way'), 8, /^a roll is under way$/],
    [503, error('EDGE_ERR_WORKER_START', 'worker 7 died'), 8, /worker 7 died/],
    [400, error('EDGE_ERR_USAGE', 'no such thing'), 2, /no such thing/],
    [500, error('EDGE_ERR_INTERNAL', 'oh'), 9, /answered: oh \(HTTP 500, EDGE_ERR_INTERNAL\)/],
    [404, '<html>', 9, /is no admin API of this release/],
    [200, 'hello', 9, /is no admin API of this release/],
    [200, '{"workers":[{"pid":"x"}]}', 9, /is no admin API of this release/],
    [200, '[]', 9, /is no admin API of this release/],
  ];
  for (const [status, body, exitCode, message] of answers) {
    const address = await listen(t, answering(status, body));
    const refused = runProgram(['workers', 'list', '--admin', address]);
    await t.rejects(refused, { exitCode, message }, `${status} ${body}`);
  }
});

t.test('a roll that is refused is not announced', async (t) => {
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.method === 'POST') response.writeHead(409).end(error('EDGE_ERR_BUSY', 'a roll is under way'));
    else response.end('{"workers":[],"drainMs":1000,"reset":0}');
  });
  const { code, stderr } = await runCli(['workers', 'roll', '--admin', await listen(t, server)]);
  t.same({ code, stderr }, { code: 8, stderr: 'edgeproxy: a roll is under way\n' });
});

t.test('text of the answer sends no terminal escapes', async (t) => {
  const state = '\x1b[2Jserving\u009b1m\u202e';
  const body = JSON.stringify({
    workers: [{ pid: 1, incarnation: 1, connections: 0, state, resetInMs: null }],
    drainMs: 1,
    reset: 0,
  });
  const address = await listen(t, answering(200, body));
  const unsafe = /[\p{Cc}\p{Cf}]/u;
  const table = await runCli(['workers', 'list', '--admin', address]);
  t.match(table.stdout, '\\u{1b}[2Jserving\\u{9b}1m\\u{202e}');
  t.notMatch(table.stdout.replaceAll('\n', ''), unsafe);
  const json = await runCli(['workers', 'list', '--admin', address, '--json']);
  t.notMatch(json.stdout.replaceAll('\n', ''), unsafe);
  t.match(JSON.parse(json.stdout), { workers: [{ state }] }, 'JSON means what was sent');
});

t.test('nobody there', async (t) => {
  const server = net.createServer();
  const address = await listen(t, server);
  server.close();
  await once(server, 'close');
  const closed = await runCli(['workers', 'list', '--admin', address]);
  t.match(closed, { code: 9, stdout: '' });
  t.match(closed.stderr, /^edgeproxy: .* could not be reached: nothing listens there\. Is the proxy running\?/);
  const socket = `unix:${join(t.testdir(), 'none.sock')}`;
  const missing = runProgram(['explain', '10.0.0.1', '--admin', socket]);
  await t.rejects(missing, { code: 'EDGE_ERR_ADMIN_UNREACHABLE', message: /there is no such socket/ });
});

t.test('no address to ask at', async (t) => {
  const at = (text: string) => () => adminClient({}, { EDGEPROXY_ADMIN_ADDR: text, EDGEPROXY_REGION: 'unrelated' });
  t.throws(at('off'), { code: 'EDGE_ERR_ADMIN_UNREACHABLE', message: /is off/ });
  t.throws(at('127.0.0.1:0'), { code: 'EDGE_ERR_ADMIN_UNREACHABLE', message: /see "admin" in the log record "ready"/ });
  t.throws(at('here'), { code: 'EDGE_ERR_CONFIG', message: /^EDGEPROXY_ADMIN_ADDR="here": may hold/ });
  t.throws(() => adminClient({}, { EDGEPROXY_ADMIN_TOKEN: 'short' }), {
    message: /^EDGEPROXY_ADMIN_TOKEN="\(not shown\)"/,
  });
  t.equal(adminClient({}, {}).name, '127.0.0.1:8081');
});

t.test('something that speaks no HTTP, or hangs up', async (t) => {
  const talker = await listen(
    t,
    net.createServer((socket) => socket.end('SSH-2.0-something\r\n')),
  );
  const code = 'EDGE_ERR_ADMIN_UNREACHABLE';
  await t.rejects(runProgram(['workers', 'list', '--admin', talker]), { code, message: /could not be reached: / });
  const rude = await listen(
    t,
    net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())),
  );
  await t.rejects(runProgram(['workers', 'list', '--admin', rude]), { code, message: /the connection was reset/ });
});

t.test('an error of the API sends no terminal escapes either', async (t) => {
  const address = await listen(t, answering(500, error('EDGE_ERR_\x1b[2J', '\x1b[31mred')));
  const { code, stderr } = await runCli(['workers', 'list', '--admin', address]);
  t.equal(code, 9);
  t.match(stderr, 'answered: \\u{1b}[31mred (HTTP 500, EDGE_ERR_\\u{1b}[2J)\n');
});

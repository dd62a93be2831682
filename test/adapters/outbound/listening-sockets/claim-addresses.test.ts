import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { claimAddresses } from '../../../../src/adapters/outbound/listening-sockets/claim-addresses.ts';
import type { AdminAddress } from '../../../../src/adapters/outbound/listening-sockets/find-conflicts.ts';
import type { Listener } from '../../../../src/domain/entities.ts';
import { isIPv6Only, overlap } from '../../../../src/domain/listen-addresses.ts';
import { formatEndpoint } from '../../../../src/ip-address.ts';
import type { ListeningSocket } from '../../../../src/ipc/listening-socket.ts';
import { bindSocket, freePort } from '../../../fixtures/bind-socket.ts';
import { until } from '../../../fixtures/until.ts';

const listener = (port: number, host = '127.0.0.1', app = ''): Listener => ({
  name: formatEndpoint(host, port),
  host,
  port,
  app,
});

function claim(t: Test, listeners: readonly Listener[], admin: AdminAddress | null = null): ListeningSocket[] {
  const sockets = claimAddresses({ listeners, admin });
  t.teardown(() => sockets.forEach(({ handle }) => void handle.close()));
  return sockets;
}

/** A server of somebody else's; its port. */
async function foreign(t: Test, host: string, ipv6Only = false): Promise<number> {
  const server = net.createServer().listen({ host, port: 0, ipv6Only });
  t.teardown(() => server.close());
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

interface Listening {
  listen(backlog: number): number;
}

t.test('each listener is claimed, and says its actual port', async (t) => {
  const [one, two] = claim(t, [listener(0), listener(0, '127.0.0.1', 'game')]).map(({ listener }) => listener);
  t.ok(one!.port > 0 && two!.port > 0 && one!.port !== two!.port);
  t.same(two, { name: `127.0.0.1:${two!.port}`, host: '127.0.0.1', port: two!.port, app: 'game' });
  t.match(claim(t, [listener(0, '::1')]), [{ listener: { name: /^\[::1\]:[1-9]/ } }]);
});

t.test('clients queue before anybody accepts, and are served by who accepts then', async (t) => {
  const [claimed] = claimAddresses({ listeners: [listener(0)], admin: null });
  const client = net.connect({ port: claimed!.listener.port, host: '127.0.0.1' });
  await once(client, 'connect');
  client.write('early');
  // Turns of our own loop, in which nobody may take it.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  const server = net.createServer().listen(claimed!.handle as never);
  t.teardown(() => server.close());
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  t.equal(String((await once(accepted, 'data'))[0]), 'early');
  accepted.destroy();
  client.destroy();
});

/** Connects to a port again and again, from before there is anybody; tells of each client when it is greeted or lost. */
const CLIENTS = `
const { connect } = require('node:net');
const come = () => {
  let outcome = 'refused';
  const socket = connect({ port: Number(process.argv[1]), host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.once('connect', () => {
    outcome = 'lost';
    setTimeout(come, 1);
  });
  socket.once('data', () => (outcome = 'greeted'));
  socket.once('close', () => {
    if (outcome === 'refused') setImmediate(come);
    else process.stdout.write(outcome + '\\n');
  });
};
process.stdout.write('coming\\n');
come();
`;

t.test('no client is lost that comes while the address is claimed', async (t) => {
  const port = freePort();
  const child = spawn(process.execPath, ['-e', CLIENTS, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const told: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(line));
  await until('the clients to come', () => told.includes('coming'));
  const [claimed] = claimAddresses({ listeners: [listener(port)], admin: null });
  const server = net.createServer((socket) => socket.on('error', () => {}).end('hello'));
  server.listen(claimed!.handle as never);
  t.teardown(() => server.close());
  await until('many of them to be served', () => told.length > 100);
  t.same([...new Set(told)].sort(), ['coming', 'greeted']);
});

t.test('what is claimed can be claimed by nobody else, and is free again when it is closed', async (t) => {
  const sockets = claimAddresses({ listeners: [listener(0, '0.0.0.0')], admin: null });
  const { port } = sockets[0]!.listener;
  for (const host of ['0.0.0.0', '127.0.0.1', '::'])
    t.throws(
      () => claimAddresses({ listeners: [listener(port, host)], admin: null }),
      { code: 'EDGE_ERR_LISTEN' },
      host,
    );
  sockets[0]!.handle.close();
  claim(t, [listener(port, '127.0.0.1')]);
});

t.test('addresses overlap exactly where the kernel refuses to listen on both', async (t) => {
  const hosts = ['127.0.0.1', '127.0.0.2', '0.0.0.0', '::1', '::'];
  for (const first of hosts) {
    for (const second of hosts) {
      for (const known of [true, false]) {
        const port = freePort();
        const both = [listener(port, first), listener(port, second)];
        // Unknown to each other, as two processes are.
        const among = known ? both : [];
        const bound = both.map((each) => bindSocket(each.host, port, isIPv6Only(each, among)));
        // Closed in the same turn, so that this process never comes to accept.
        const refused = bound
          .map(({ handle }) => (handle as unknown as Listening).listen(1))
          .some((errno) => errno !== 0);
        for (const { handle } of bound) handle.close();
        t.equal(overlap(both[0]!, both[1]!, among), refused, `${first} and ${second}, ${known ? 'in one' : 'in two'}`);
      }
    }
  }
});

t.test('both families on one port: each has its own clients', async (t) => {
  const port = freePort();
  for (const [four, six] of [
    ['0.0.0.0', '::'],
    ['127.0.0.1', '::'],
    ['0.0.0.0', '::1'],
  ] as const) {
    for (const hosts of [
      [four, six],
      [six, four],
    ]) {
      const sockets = claimAddresses({ listeners: hosts.map((host) => listener(port, host)), admin: null });
      t.same(
        sockets.map(({ listener }) => listener.host),
        hosts,
      );
      for (const { handle } of sockets) handle.close();
    }
  }
});

t.test('who listens already is named, whichever of the overlapping addresses it has', async (t) => {
  for (const [theirs, ours] of [
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
    ['127.0.0.1', '::'],
    ['::', '127.0.0.1'],
    ['::1', '::'],
  ] as const) {
    const port = await foreign(t, theirs);
    const message = new RegExp(
      `^cannot listen on \\S+:${port}: EADDRINUSE: \\S+ \\(pid ${process.pid}\\) has it: stop that, or set EDGEPROXY_LISTEN_ADDR`,
    );
    t.throws(
      () => claimAddresses({ listeners: [listener(port, ours)], admin: null }),
      { code: 'EDGE_ERR_LISTEN', message },
      `${theirs} is in the way of ${ours}`,
    );
  }
  const six = await foreign(t, '::', true);
  claim(t, [listener(six, '127.0.0.1')]);
});

t.test('a process that has bound an address and does not listen', async (t) => {
  const python = `import socket, sys
for reuse in (0, 1):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    s.bind(('127.0.0.1', 0))
    globals()['keep%d' % reuse] = s
    print(s.getsockname()[1], flush=True)
sys.stdin.read()`;
  if (spawnSync('python3', ['-c', '']).status !== 0) {
    t.pass('there is no python3 to be such a process: Node.js always binds with SO_REUSEADDR');
    return;
  }
  const child = spawn('python3', ['-c', python], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill());
  const ports: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) if (ports.push(Number(line)) === 2) break;
  const [exclusive, shared] = ports;
  t.throws(
    () => claim(t, [listener(exclusive!)]),
    { message: /EADDRINUSE: another process has it/ },
    'without SO_REUSEADDR',
  );
  t.equal(claim(t, [listener(shared!)]).length, 1, 'with it, the first that listens has it');
});

t.test('every conflict is told in one message, and what was bound is let go', async (t) => {
  const taken = await foreign(t, '127.0.0.1');
  const free = freePort();
  const listeners = [listener(free, '0.0.0.0'), listener(taken), listener(free), listener(0, '192.0.2.1')];
  const admin = { kind: 'tcp', host: '127.0.0.2', port: free } as const;
  t.throws(() => claimAddresses({ listeners, admin }), {
    code: 'EDGE_ERR_LISTEN',
    message: new RegExp(
      [
        '^4 addresses cannot be had:',
        `  cannot listen on 127\\.0\\.0\\.1:${taken}: EADDRINUSE: .*`,
        `  cannot listen on 127\\.0\\.0\\.1:${free}: it overlaps the listener 0\\.0\\.0\\.0:${free}: leave one of them out`,
        '  cannot listen on 192\\.0\\.2\\.1:0: EADDRNOTAVAIL: this machine has no such address: set EDGEPROXY_LISTEN_ADDR.*',
        `  cannot listen on the admin address 127\\.0\\.0\\.2:${free}: it overlaps the listener 0\\.0\\.0\\.0:${free}: set EDGEPROXY_ADMIN_ADDR .*$`,
      ].join('\n'),
    ),
  });
  claim(t, [listener(free, '0.0.0.0')]);
});

t.test('the admin address alone in the way', async (t) => {
  const code = 'EDGE_ERR_ADMIN_LISTEN';
  const port = await foreign(t, '0.0.0.0');
  const refused = (admin: AdminAddress, message: RegExp) =>
    t.throws(() => claimAddresses({ listeners: [listener(0)], admin }), { code, message });
  refused(
    { kind: 'tcp', host: '127.0.0.1', port },
    new RegExp(
      `the admin address 127\\.0\\.0\\.1:${port}: EADDRINUSE: .* has it: stop that, or set EDGEPROXY_ADMIN_ADDR`,
    ),
  );
  refused(
    { kind: 'tcp', host: '192.0.2.1', port: 1 },
    /EADDRNOTAVAIL: this machine has no such address: set EDGEPROXY_ADMIN_ADDR/,
  );

  // Not t.testdir(): the path of a socket ends at about 100 characters.
  const directory = mkdtempSync(join(tmpdir(), 'ep-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'plain'), '');
  const path = `${directory}/s`;
  const server = net.createServer().listen(path);
  await once(server, 'listening');
  if (process.platform === 'linux')
    refused(
      { kind: 'unix', path },
      new RegExp(`unix:\\S+: \\S+ \\(pid ${process.pid}\\) has it: set EDGEPROXY_ADMIN_ADDR`),
    );
  server.close();
  refused({ kind: 'unix', path: `${directory}/plain` }, /a file that is no socket is there/);
  refused({ kind: 'unix', path: `${directory}/none/s` }, /the directory \S+none does not exist/);
  refused({ kind: 'unix', path: `${directory}/${'x'.repeat(109)}` }, /path may have 10[48] bytes/);
  t.equal(claim(t, [listener(0)], { kind: 'unix', path }).length, 1, 'none is there any more');
});

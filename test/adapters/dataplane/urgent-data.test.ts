import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { backend, client, Rig } from '../../conformance/data-plane-rig.ts';
import { type Engine, onEachEngine } from '../../fixtures/engines.ts';
import { type TcpEntry, tcpTable } from '../../fixtures/tcp-table.ts';
import { until } from '../../fixtures/until.ts';
import { makeEngine } from './make-engine.ts';

/**
 * Node cannot send urgent data. `connect PORT` or `listen` (prints its port); at a line on its standard input it sends
 * a byte of urgent data, and others after it, or around it.
 */
const PEER = `
import socket, sys
if sys.argv[1] == 'connect':
    peer = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
else:
    server = socket.create_server(('127.0.0.1', 0))
    print(server.getsockname()[1], flush=True)
    peer, _ = server.accept()
if sys.stdin.readline() == 'after the others\\n': peer.send(b'before')
peer.send(b'!', socket.MSG_OOB)
peer.send(b'after')
sys.stdin.readline()
`;

/** Far beyond what it takes. */
const PATIENCE_MS = 30_000;

const SENT = 'before!after'.length;

/** Node leaves an urgent byte out; the rest is in order. */
const EXPECTED: Readonly<Record<Engine, string>> = { epoll: 'before!after', stream: 'beforeafter' };

const python = spawnSync('python3', ['--version']).status === 0;
const linux = process.platform === 'linux';
const skip = (!python && 'sends urgent data with python3') || (!linux && 'reads /proc');

onEachEngine(t, 'an urgent byte of the client', (t, engine) => urgent(t, engine, 'client'), skip);
onEachEngine(t, 'an urgent byte of the backend', (t, engine) => urgent(t, engine, 'backend'), skip);

onEachEngine(
  t,
  'an urgent byte of a client that is not connected yet',
  async (t, engine) => {
    const rig = await Rig.start(t, (options) => makeEngine(engine, options));
    const port = await rig.listen();
    const to = await backend(t);
    const peer = await startPeer(t, ['connect', String(port)]);
    const { conn } = await rig.next('accepted');
    peer.process.stdin?.write('first\n');
    await until('it to be sent', () => unreadOf(({ localPort }) => localPort === port) === '!after'.length);
    rig.connect(conn, to.port);
    const reader = (await to.accept()).read();
    const expected = EXPECTED[engine].slice('before'.length);
    t.equal((await reader.received(expected.length)).toString(), expected);
    rig.close(conn);
    await rig.closed(conn);
  },
  skip,
);

async function urgent(t: Test, engine: Engine, from: 'client' | 'backend'): Promise<void> {
  const rig = await Rig.start(t, (options) => makeEngine(engine, options));
  const port = await rig.listen();
  const to = await backend(t);
  const peer = await startPeer(t, from === 'client' ? ['connect', String(port)] : ['listen']);
  const near = from === 'backend' ? await client(t, port) : null;
  const { conn } = await rig.next('accepted');
  rig.connect(conn, peer.port || to.port);
  await rig.next('connected');
  const reader = (near ?? (await to.accept())).read();

  // Guards: a read stops before an urgent byte, and nothing tells the engine again of what is behind it.
  peer.process.stdin?.write('after the others\n');
  const unread = () =>
    unreadOf(({ localPort, remotePort }) => (from === 'client' ? localPort === port : remotePort === peer.port));
  // Without a turn of the loop, so that the engine finds all of it at once.
  const deadline = performance.now() + PATIENCE_MS;
  while (unread() < SENT && performance.now() < deadline);
  const expected = EXPECTED[engine];
  t.equal((await reader.received(expected.length)).toString(), expected);
  rig.close(conn);
  await rig.closed(conn);
}

/** Bytes that wait for the engine at one of its sockets. */
function unreadOf(fits: (entry: TcpEntry) => boolean): number {
  return tcpTable().find((entry) => fits(entry) && entry.state === 'established')?.unread ?? 0;
}

async function startPeer(t: Test, args: readonly string[]): Promise<{ process: ChildProcess; port: number }> {
  const process = spawn('python3', ['-c', PEER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => process.kill('SIGKILL'));
  if (args[0] === 'connect' || process.stdout === null) return { process, port: 0 };
  const [line]: Buffer[] = await once(process.stdout, 'data');
  return { process, port: Number(line) };
}

import { spawn, spawnSync } from 'node:child_process';
import { on } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { DataPlaneEvent } from '../../../src/application/ports/data-plane.ts';
import { parseAddress } from '../../../src/ip-address.ts';
import { backend, client } from '../../conformance/data-plane-rig.ts';
import { type Engine, onEachEngine, SKIPPED } from '../../fixtures/engines.ts';
import { until } from '../../fixtures/until.ts';

/** As it comes from a process of its own. */
const LOOPBACK = { ...parseAddress('127.0.0.1') };

/** What node needs to start, and some more. */
const DESCRIPTORS = 64;

const PROCESS = fileURLToPath(new URL('./few-descriptors-process.ts', import.meta.url));

type Told = DataPlaneEvent | { readonly type: 'port'; readonly port: number };

interface Few {
  readonly port: number;
  readonly pid: number;
  /** The next event of the engine. */
  next(): Promise<Told>;
  close(conn: number): void;
  dial(conn: number, port: number): void;
}

async function start(t: Test, engine: Engine): Promise<Few> {
  const command = `ulimit -n ${DESCRIPTORS}; exec "$0" "$1" "$2"`;
  const child = spawn('sh', ['-c', command, process.execPath, PROCESS, engine], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const messages = on(child, 'message');
  const next = async (): Promise<Told> => {
    const { value } = (await messages.next()) as { value: [Told] };
    return value[0];
  };
  const first = await next();
  if (first.type !== 'port') throw new Error('no port was told');
  return {
    port: first.port,
    pid: child.pid!,
    next,
    close: (conn) => void child.send({ conn }),
    dial: (conn, port) => void child.send({ conn, dial: port }),
  };
}

/** Connects clients until one is refused; those that are held. */
async function fill(t: Test, few: Few): Promise<number[]> {
  const held: number[] = [];
  for (;;) {
    await client(t, few.port);
    const event = await few.next();
    if (event.type === 'refused') return held;
    if (event.type === 'accepted') held.push(event.conn);
    if (held.length > DESCRIPTORS) throw new Error('nobody was refused');
  }
}

// libuv accepts and closes such clients without a word, so the port promises this of engines that can tell.
t.test(
  'epoll: without descriptors clients are refused and told, until one leaves',
  { skip: SKIPPED.epoll },
  async (t) => {
    const few = await start(t, 'epoll');
    const held = await fill(t, few);
    t.ok(held.length > 0, `${held.length} clients were held`);
    for (let i = 0; i < 3; i++) {
      const refused = await client(t, few.port);
      t.match(await few.next(), { type: 'refused', listener: 3, address: LOOPBACK });
      await refused.read().ended;
    }

    few.close(held[0] ?? 0);
    t.match(await few.next(), { type: 'closed', conn: held[0], reason: 'drained' });
    await client(t, few.port);
    t.match(await few.next(), { type: 'accepted', listener: 3 });
  },
);

const prlimit = (pid: number, limit: number) => spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${limit}:`]).status;
const missing = spawnSync('prlimit', ['--version']).error !== undefined;
const skip = missing && 'there is no prlimit (Debian: apt-get install util-linux)';

onEachEngine(
  t,
  'accepting goes on when there are descriptors again, though the one in reserve was lost',
  async (t, engine) => {
    // Guards: an engine gives up its reserve to accept a client and tell it, and may not get it back, or any other.
    const few = await start(t, engine);
    const descriptors = () => readdirSync(`/proc/${few.pid}/fd`).length;
    const before = descriptors();
    t.equal(prlimit(few.pid, 1), 0, 'no descriptor can be opened any more');
    await client(t, few.port);
    await until('the reserve to be lost', () => descriptors() === before - 1);

    t.equal(prlimit(few.pid, DESCRIPTORS), 0, 'now they can');
    t.match(await few.next(), { type: 'accepted', listener: 3 }, 'the client that waited');
    if (engine !== 'epoll') return;
    t.equal(descriptors(), before + 1, 'and there is one in reserve again');
    t.ok((await fill(t, few)).length > 0, 'of which the next client without one is told');
  },
  skip,
);

onEachEngine(
  t,
  'a dial without a descriptor is told as one that our own kernel refused, and may be made again',
  async (t, engine) => {
    const few = await start(t, engine);
    const to = await backend(t);
    await client(t, few.port);
    const accepted = await few.next();
    if (accepted.type !== 'accepted') throw new Error(`it was ${accepted.type}`);
    t.equal(prlimit(few.pid, 1), 0, 'no descriptor can be opened any more');
    few.dial(accepted.conn, to.port);
    t.match(await few.next(), { type: 'connectFailed', conn: accepted.conn, code: 'EMFILE', here: true });
    t.equal(prlimit(few.pid, DESCRIPTORS), 0, 'now they can');
    few.dial(accepted.conn, to.port);
    t.match(await few.next(), { type: 'connected', conn: accepted.conn });
  },
  skip,
);

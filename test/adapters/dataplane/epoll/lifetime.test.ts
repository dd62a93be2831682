import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { EpollDataPlane } from '../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { type Addon, loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import { bind } from '../../../conformance/data-plane-rig.ts';

const { addon, reason } = loadAddon(process.env.EDGEPROXY_TEST_ADDON === 'Debug' ? 'Debug' : 'Release');
const OPTIONS = {
  connectTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  maxConnections: 100,
};
const THREAD = fileURLToPath(new URL('./serving-thread.ts', import.meta.url));

if (addon === null) t.pass('skipped', { skip: reason });
else lifetimeTests(addon);

function lifetimeTests(addon: Addon): void {
  t.test('an engine has descriptors only while it serves', async (t) => {
    await useOnce(addon);
    const before = descriptors();
    for (let i = 0; i < 50; i++) await useOnce(addon);
    t.equal(descriptors(), before);
  });

  t.test('an engine that nobody uses any more is collected', async (t) => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    for (let i = 0; i < 50; i++) registry.register(await useOnce(addon), null);
    // The last may still be in some register of the machine.
    while (collected < 49) {
      gc();
      await nextTurn();
    }
    t.ok(collected >= 49);
  });

  t.test('an engine that serves is kept, though nobody else refers to it', async (t) => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    let told = () => {};
    const port = await serve(addon, 10, () => told());
    for (let i = 0; i < 10; i++) {
      gc();
      await nextTurn();
      const accepted = new Promise<void>((resolve) => {
        told = resolve;
      });
      const client = net.connect({ host: '127.0.0.1', port });
      client.on('error', () => {});
      const closed = new Promise((resolve) => client.on('close', resolve));
      await Promise.all([accepted, closed]);
    }
    t.pass('every client was told of');
  });

  t.test('a thread that ends while it serves leaves nothing', async (t) => {
    const one = async () => {
      const thread = new Worker(THREAD);
      const [port] = (await once(thread, 'message')) as [number];
      const client = net.connect({ host: '127.0.0.1', port });
      client.on('error', () => {});
      const closed = new Promise((resolve) => client.on('close', resolve));
      await once(thread, 'message');
      await thread.terminate();
      await closed;
    };
    // The first opens what stays open.
    await one();
    const before = descriptors();
    for (let i = 0; i < 4; i++) await one();
    t.equal(descriptors(), before);
  });

  t.test('a handler that throws is an uncaught exception, and the engine goes on', async (t) => {
    const script = `
      import { EpollDataPlane } from ${JSON.stringify(import.meta.resolve('../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts'))};
      import { loadAddon } from ${JSON.stringify(import.meta.resolve('../../../../src/adapters/dataplane/epoll/load-addon.ts'))};
      import { bindSocket } from ${JSON.stringify(import.meta.resolve('../../../fixtures/bind-socket.ts'))};
      import net from 'node:net';
      const bound = bindSocket();
      const events = [];
      const engine = new EpollDataPlane({
        ...${JSON.stringify(OPTIONS)},
        onEvents: ([event]) => { events.push(event.type); throw new Error(event.type); },
      }, loadAddon().addon);
      await engine.listen(bound.handle, 0);
      const connect = () => net.connect({ host: '127.0.0.1', port: bound.port }).on('error', () => {});
      process.on('uncaughtException', (error) => {
        process.stdout.write(error.message + '\\n');
        if (events.length === 3) process.exit(0);
        connect();
      });
      connect();
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
    });
    const [code] = await once(child, 'close');
    t.equal(code, 0);
    t.equal(text, 'accepted\naccepted\naccepted\n');
  });

  t.test('a process with an engine that does nothing ends by itself', async (t) => {
    const script = `
      import { loadAddon } from ${JSON.stringify(import.meta.resolve('../../../../src/adapters/dataplane/epoll/load-addon.ts'))};
      const engine = new (loadAddon().addon.Engine)(1000, 0, 0, 0, 10);
      engine.stopAccepting();
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    t.same(await once(child, 'exit'), [0, null]);
  });

  t.test('calls that are none are refused', async (t) => {
    const engine = new addon.Engine(1000, 0, 0, 0, 10);
    const { listen, size } = engine;
    t.throws(() => listen.call({}, 0, 0, 0, 0), TypeError);
    t.throws(() => size.call(Object.create(engine)), TypeError);
    t.throws(() => engine.listen(-1, 0, 0, 0), { code: 'EBADF' });
    t.throws(() => Reflect.construct(addon.Engine, ['1']), TypeError);
    t.throws(() => addon.lookAtWire(0, new Float64Array(3)), TypeError);
    t.equal(addon.lookAtWire(-1, new Float64Array(4)), false);
    engine.close(-1);
    engine.connect(Number.NaN, '127.0.0.1', 1, -1, 0, false, undefined);
    engine.prereadMore(3);
    t.equal(engine.preread(3, true), undefined);
    engine.reject(2 ** 31, true);
    t.equal(engine.size(), 0);
  });
}

async function useOnce(addon: Addon): Promise<EpollDataPlane> {
  const { handle } = bind();
  const engine = new EpollDataPlane({ ...OPTIONS, onEvents: () => {} }, addon);
  await engine.listen(handle, 0);
  engine.stopAccepting();
  return engine;
}

/** Resets so many clients and stops. Only the engine's own handler refers to the engine. */
async function serve(addon: Addon, clients: number, accepted: () => void): Promise<number> {
  const { handle, port } = bind();
  let left = clients;
  const engine: EpollDataPlane = new EpollDataPlane(
    {
      ...OPTIONS,
      onEvents: (events) => {
        for (const event of events) {
          if (event.type !== 'accepted') continue;
          engine.close(event.conn);
          if (--left === 0) engine.stopAccepting();
          accepted();
        }
      },
    },
    addon,
  );
  await engine.listen(handle, 0);
  return port;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import { isAlive, kill, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { connect, greet, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

/** What the loop of kills is after, and the rounds after which it gives up. */
const KILLS = 12;
const SERVED = 100;
const MAX_ROUNDS = 75;

const gone = (pid: number) => until(`process ${pid} to be gone`, () => !isAlive(pid));

/** Until the supervisor has `count` workers that serve, none of them one of `but`. */
const serving = (proxy: RunningProxy, count: number, but: readonly number[] = []) =>
  until(`${count} fresh workers`, async () => {
    const fresh = (await proxy.serving()).filter(({ pid }) => !but.includes(pid));
    return fresh.length === count && fresh;
  });

onEachEngine(
  t,
  'a worker that is killed gives back what it held, is replaced, and leaves the others alone',
  async (t, engine) => {
    const backend = await startBackend(t, 'one');
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
    const clients = [];
    for (let i = 0; i < 24; i++) clients.push((await greet(proxy.port, `127.0.1.${i + 1}`))!);
    const workers = await serving(proxy, 2);
    t.equal(
      workers.reduce((sum, { connections }) => sum + connections, 0),
      24,
    );
    const [victim, other] = [...workers].sort((a, b) => b.connections - a.connections);

    const killedAt = performance.now();
    process.kill(victim!.pid, 'SIGKILL');
    await until('the counts of the dead to be back', async () => (await proxy.held()) === other!.connections);
    t.comment(`counts were back after ${Math.round(performance.now() - killedAt)} ms`);
    await until("the dead worker's backend sockets to close", () => backend.open === other!.connections);

    let survivors = 0;
    for (const { socket } of clients) {
      const echo = readLine(socket);
      socket.write('still there\n');
      if ((await echo) === 'still there') survivors++;
    }
    t.equal(survivors, other!.connections, 'every connection of the other worker goes on');
    await serving(proxy, 2, [victim!.pid]);
    t.ok((await greet(proxy.port)) !== null, 'new clients are served');
    t.equal(await proxy.metric('edgeproxy_closed_total{reason="worker_died"}'), victim!.connections);
    for (const { socket } of clients) socket.destroy();
  },
);

onEachEngine(t, 'kill -9 of all workers every 400 ms refuses and resets no new connection', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
  const clients = 4;
  let killing = true;
  t.teardown(() => {
    killing = false;
  });
  let served = 0;
  let cut = 0;
  const refused: string[] = [];
  let longest = 0;

  // A client is new until a worker has taken it, which its greeting proves; a worker's death then cuts it, and it
  // comes again. Connecting itself must always work: the primary's queue takes the client while no worker lives.
  const client = async (from: string) => {
    while (killing) {
      const start = performance.now();
      try {
        const greeted = await greet(proxy.port, from);
        if (greeted === null) cut++;
        else {
          served++;
          greeted.socket.destroy();
        }
      } catch (error) {
        refused.push((error as Error).message);
      }
      longest = Math.max(longest, performance.now() - start);
    }
  };
  const running = Array.from({ length: clients }, (_, i) => client(`127.0.2.${i + 1}`));
  let kills = 0;
  let rounds = 0;
  for (; (kills < KILLS || served < SERVED) && rounds < MAX_ROUNDS; rounds++) {
    // Whatever state they are in: those that boot are killed while they boot.
    for (const { pid } of await proxy.workers()) {
      if (kill(pid)) kills++;
    }
    await delay(400);
  }
  await until('two workers', async () => (await proxy.serving()).length === 2);
  killing = false;
  await Promise.all(running);
  t.same(refused, [], 'no connection was refused or reset before a worker had it');
  t.ok(kills >= KILLS && served >= SERVED, `${kills} kills, ${served} served in ${rounds} rounds`);
  t.ok(cut <= rounds * clients, 'a kill cuts each client at most once');
  t.comment(`${cut} cut, longest wait ${Math.round(longest)} ms`);
  await until('every slot to be back', async () => (await proxy.held()) === 0);
  await until('every backend socket to be closed', () => backend.open === 0);
  t.same(proxy.noise, [], "and no stack of Node's own in the log");
});

onEachEngine(
  t,
  'a transfer through another worker stays byte-exact while a worker is killed again and again',
  async (t, engine) => {
    const payload = randomBytes(32 << 20);
    const backend = await startBackend(t, 'one', (socket) => socket.write('one\n', () => socket.pipe(socket)));
    const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
    const { socket } = (await greet(proxy.port))!;
    const holder = (await serving(proxy, 2)).find(({ connections }) => connections === 1)!;
    const hash = createHash('sha256');
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      received += chunk.length;
    });
    const sending = (async () => {
      for (let at = 0; at < payload.length; at += 64 << 10) {
        if (!socket.write(payload.subarray(at, at + (64 << 10)))) await once(socket, 'drain');
      }
      socket.end();
    })();
    let kills = 0;
    const last = () => received >= payload.length;
    let victims: number[] = [];
    while (!last()) {
      const before = received;
      const [victim] = (await serving(proxy, 2)).filter(({ pid }) => pid !== holder.pid && !victims.includes(pid));
      if (victim !== undefined && kills < 5) {
        if (kill(victim.pid)) kills++;
        victims = [victim.pid];
      }
      await until('the transfer to go on', () => last() || received > before + (1 << 20));
    }
    await sending;
    t.ok(kills > 0);
    t.equal(hash.digest('hex'), createHash('sha256').update(payload).digest('hex'));
  },
);

t.test('a worker that hangs is told, killed and replaced by its heartbeat deadline', async (t) => {
  const backend = await startBackend(t, 'one');
  const env = { EDGEPROXY_HEARTBEAT_TIMEOUT_SECS: '2' };
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], env });
  const [victim] = await serving(proxy, 2);
  process.kill(victim!.pid, 'SIGSTOP');
  await until('its silence to be told', async () => {
    const { reasons } = await proxy.get<{ reasons: string[] }>('/readyz');
    return reasons.some((reason) => reason.startsWith(`worker ${victim!.incarnation} has said nothing for `));
  });
  const died = await proxy.logged('worker died');
  t.match(died, { worker: victim!.pid, signal: 'SIGKILL', reason: /said nothing/ });
  await gone(victim!.pid);
  await serving(proxy, 2, [victim!.pid]);
  t.ok((await greet(proxy.port)) !== null);
});

onEachEngine(t, 'kill -9 of the primary leaves no worker', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
  const client = (await greet(proxy.port))!;
  const workers = await serving(proxy, 2);
  const closed = once(client.socket, 'close');
  proxy.signal('SIGKILL');
  for (const { pid } of workers) await gone(pid);
  client.socket.destroy();
  await closed;
  await until('the backend to be rid of its connection', () => backend.open === 0);
});

t.test('a second signal ends the proxy and its workers at once', async (t) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port }],
    env: { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '600' },
  });
  const workers = await serving(proxy, 2);
  const client = (await greet(proxy.port))!;
  proxy.signal('SIGTERM');
  await proxy.logged('stopping: draining connections');
  proxy.signal('SIGTERM');
  t.same(await proxy.exited, { code: 1, signal: null });
  for (const { pid } of workers) await gone(pid);
  client.socket.destroy();
});

onEachEngine(t, 'a stop finishes what is open, then exits 0 and leaves nothing', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], engine });
  const workers = await serving(proxy, 2);
  const client = (await greet(proxy.port))!;
  proxy.signal('SIGTERM');
  await proxy.logged('worker draining', ({ connections }) => connections === 1);
  const echo = readLine(client.socket);
  client.socket.write('last words\n');
  t.equal(await echo, 'last words', 'an open connection goes on while the proxy drains');
  client.socket.end();
  t.same(await proxy.exited, { code: 0, signal: null });
  for (const { pid } of workers) await gone(pid);
  await t.rejects(connect(proxy.port), { code: 'ECONNREFUSED' });
  t.match(
    proxy.log.filter(({ msg }) => msg === 'connection'),
    [{ close: 'finished' }],
    'and was logged as finished',
  );
});

onEachEngine(t, 'the drain deadline resets what is left, counted and logged', async (t, engine) => {
  const backend = await startBackend(t, 'one');
  const proxy = await startProxy(t, {
    rows: [{ id: 'one', port: backend.port }],
    engine,
    env: { EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: '1' },
  });
  const client = (await greet(proxy.port))!;
  const reset = new Promise<NodeJS.ErrnoException>((resolve) => (client.socket as net.Socket).once('error', resolve));
  proxy.signal('SIGTERM');
  t.equal((await reset).code, 'ECONNRESET');
  t.same(await proxy.exited, { code: 0, signal: null });
  t.match(await proxy.logged('drain deadline: connections reset'), { reset: 1 });
  t.match(await proxy.logged('connection'), { close: 'drained' });
});

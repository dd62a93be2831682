import type net from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Test } from 'tap';
import { startCountingBackend } from '../fixtures/counting-backend.ts';
import type { Engine } from '../fixtures/engines.ts';
import { kill, type LogRecord, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { connect, readLine } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

/** Clients at one time, and the addresses that they come from in turn. */
const STREAMS = 60;
const ADDRESSES = 600;
/** Connections that must have got through. */
const SERVED = 2000;
/** By backend; together fewer than the clients that come at once, so that limits are reached all the time. */
const HARD_LIMITS = [6, 9, 14, 20];

const greetAndEcho = (id: string) => (socket: net.Socket) => {
  socket.write(`${id}\n`);
  socket.pipe(socket);
};

interface Tally {
  served: number;
  unserved: number;
  readonly addresses: Set<string>;
}

/** Clients one after the other, in turn from each of `addresses`, each closing in another way, until told to stop. */
async function visits(port: number, addresses: readonly string[], going: () => boolean, tally: Tally): Promise<void> {
  for (let visit = 0; going(); visit++) {
    const from = addresses[visit % addresses.length]!;
    const socket = await connect(port, from);
    if ((await readLine(socket)) === null) {
      tally.unserved++;
      socket.destroy();
      continue;
    }
    tally.served++;
    tally.addresses.add(from);
    for (let message = 0; message < visit % 4; message++) {
      const echo = readLine(socket);
      socket.write(`message ${message}\n`);
      if ((await echo) === null) break;
    }
    await leave(socket, visit % 3);
  }
}

async function leave(socket: net.Socket, how: number): Promise<void> {
  const closed = socket.destroyed ? null : new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (how === 0) socket.destroy();
  else if (how === 1) socket.resetAndDestroy();
  else socket.end().resume();
  await closed;
}

/** Kills and rolls workers and changes the table, until told to stop. */
async function havoc(
  proxy: RunningProxy,
  going: () => boolean,
  done: { kills: number; rolls: number; changes: number },
): Promise<void> {
  const db = new Database(join(proxy.directory, 'routing.db'));
  const change = db.prepare('UPDATE backends SET healthy = ?, weight = ? WHERE id = ?');
  for (let round = 0; going(); round++) {
    const id = `backend-${round % HARD_LIMITS.length}`;
    const { version } = (await proxy.get<{ routing: { version: number } }>('/readyz')).routing;
    // Never what it was: a table that says the same gets no new version.
    change.run(round % 3 === 0 ? 0 : 1, 2 + (round % 5), id);
    done.changes++;
    const [victim] = await proxy.serving();
    if (round % 2 === 0 && victim !== undefined) {
      if (kill(victim.pid)) done.kills++;
    } else if ((await proxy.post('/api/v1/workers/roll')).status === 200) {
      done.rolls++;
    }
    const reloaded = async () =>
      (await proxy.get<{ routing: { version: number } }>('/readyz')).routing.version > version;
    await until('the table to be reloaded', async () => !going() || (await reloaded()));
    change.run(1, 1, id);
    await until('two workers', async () => !going() || (await proxy.serving()).length === 2);
  }
  db.close();
}

/** Follows each client through the access log; returns what no stated reason explains. */
function unexplained(records: readonly LogRecord[]): string[] {
  const bound = new Map<string, { backend: unknown; proven: boolean }>();
  return records.flatMap((record) => {
    const { client, backend, why, close, connectMs } = record;
    if (close === 'refused') return [];
    const proven = (connectMs as number) > 0;
    const before = bound.get(client as string);
    if (why === 'overflow') return before === undefined ? [`${client}: overflow without a binding`] : [];
    if (why === 'bound' && before?.backend !== backend)
      return [`${client}: bound to ${before?.backend}, got ${backend}`];
    if (why === 'picked' && before?.proven === true)
      return [`${client}: bound to ${before.backend}, picked ${backend}`];
    bound.set(client as string, { backend, proven: proven || (before?.proven === true && before.backend === backend) });
    return [];
  });
}

/** Storms a proxy over that engine with clients, kills, rolls and table changes, and holds its books against everybody else's. */
export async function storm(t: Test, engine: Engine): Promise<void> {
  const counted = await Promise.all(
    HARD_LIMITS.map((_, i) => startCountingBackend(t, `backend-${i}`, greetAndEcho(`backend-${i}`))),
  );
  const rows = counted.map(({ backend }, i) => ({
    id: backend.id,
    port: backend.port,
    softLimit: 2,
    hardLimit: HARD_LIMITS[i]!,
  }));
  const proxy = await startProxy(t, { rows, engine });
  const tally: Tally = { served: 0, unserved: 0, addresses: new Set() };
  const done = { kills: 0, rolls: 0, changes: 0 };
  // Also of every address once: whoever comes while all is full goes away, and comes again in its turn.
  const enough = () =>
    tally.served >= SERVED && tally.addresses.size === ADDRESSES && done.kills >= 5 && done.rolls >= 5;
  const streams = Array.from({ length: STREAMS }, (_, stream) =>
    Array.from({ length: ADDRESSES / STREAMS }, (_, i) => `127.0.${4 + stream}.${i + 1}`),
  );
  await Promise.all([
    havoc(proxy, () => !enough(), done),
    ...streams.map((addresses) => visits(proxy.port, addresses, () => !enough(), tally)),
  ]);
  t.comment(`${tally.served} served, ${tally.unserved} turned away or cut; ${JSON.stringify(done)}`);
  await until('every count to be zero', async () => (await proxy.held()) === 0);
  await until('every backend socket to be closed', () => counted.every(({ backend }) => backend.open === 0));
  counted.forEach(({ backend, counting }, i) => {
    t.ok(counting.most <= HARD_LIMITS[i]!, `${backend.id} held at most ${counting.most} of ${HARD_LIMITS[i]}`);
  });
  t.ok(
    counted.some(({ counting }, i) => counting.most === HARD_LIMITS[i]),
    'and limits were reached',
  );

  t.comment('at rest, the ledger is the sum of the open sockets');
  await until('two workers', async () => (await proxy.serving()).length === 2);
  const held = await Promise.all(streams.slice(0, 40).map(([address]) => connect(proxy.port, address)));
  const greetings = await Promise.all(held.map(readLine));
  const ledger = await proxy.backends();
  for (const { backend } of counted) {
    const inLedger = ledger.find(({ id }) => id === backend.id)?.connections;
    t.equal(inLedger, backend.open, `${backend.id}: ledger and sockets`);
    t.equal(greetings.filter((id) => id === backend.id).length, backend.open, `${backend.id}: sockets and clients`);
  }
  const total = (await proxy.workers()).reduce((sum, { connections }) => sum + connections, 0);
  t.equal(total, greetings.filter((id) => id !== null).length, 'the workers hold what the clients hold');
  for (const socket of held) socket.destroy();
  await until('every count to be zero', async () => (await proxy.held()) === 0);

  t.same(await proxy.stop(), { code: 0, signal: null });
  const records = proxy.log.filter(({ msg }) => msg === 'connection');
  t.same(unexplained(records), [], 'every client stayed on its backend unless a stated reason moved it');
  const reasons = new Map<unknown, number>();
  for (const { why } of records) reasons.set(why, (reasons.get(why) ?? 0) + 1);
  t.comment(`access records by reason: ${JSON.stringify(Object.fromEntries(reasons))}`);
}

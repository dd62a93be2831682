import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MemoryBindings } from '../../src/adapters/outbound/memory-bindings/memory-bindings.ts';
import { SqliteBackendRepository } from '../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { DialOutcomes } from '../../src/application/dial-outcomes.ts';
import { ProxyService } from '../../src/application/proxy-service.ts';
import { RoutingState } from '../../src/application/routing-state.ts';
import { ClientAddress } from '../../src/domain/client-address.ts';
import { ConnectionLedger } from '../../src/domain/connection-ledger.ts';
import { hashPair } from '../../src/domain/hash.ts';
import { buildTableImage } from '../../src/domain/table-image.ts';
import { REGIONS } from '../../src/domain/value-objects.ts';
import { countingBoundary } from '../fixtures/boundary.ts';
import { backend } from '../fixtures/routing-db.ts';

const COUNTRIES = ['BR', 'US', 'DE', 'JP', 'ZA', 'AE'];
const LISTENER = { name: '127.0.0.1:8080', host: '127.0.0.1', port: 8080, app: '' };
const clock = { now: () => performance.now() };
const ignore = () => {};
const metrics = {
  accepted: ignore,
  picked: ignore,
  connected: ignore,
  connectFailed: ignore,
  closed: ignore,
  refused: ignore,
};

function rows(count: number) {
  return Array.from({ length: count }, (_, i) =>
    backend(
      { id: `backend-${i}`, region: REGIONS[i % 6]!, country: COUNTRIES[i % 6]!, softLimit: 100, hardLimit: 1000 },
      i % 5000,
    ),
  );
}

const address = (n: number) => new ClientAddress(4, 10 * 2 ** 24 + (n % 2 ** 24));

/** A primary without processes: the use case with its real adapters, GeoIP aside. */
async function primary(backends: number) {
  const ledger = new ConnectionLedger();
  const routing = new RoutingState(ledger, [LISTENER]);
  await routing.install(buildTableImage(rows(backends)));
  const bindings = new MemoryBindings({ ttlMs: 600_000, maxBindings: 1_000_000 });
  const geo = { country: (client: ClientAddress) => COUNTRIES[(client.w0 & 255) % 7] ?? null };
  const service = new ProxyService({
    ledger,
    routing,
    bindings,
    geo,
    popRegion: 'sa',
    listeners: [LISTENER],
    clock,
    metrics,
    accessLog: { isBehind: false, write: ignore },
    boundary: countingBoundary(),
    outcomes: new DialOutcomes(),
    later: ignore,
  });
  service.workerJoined(1);
  return { ledger, routing, service };
}

/** Nanoseconds of one selection among `backends`: the index alone, with the change of counts that each pick makes. */
export async function selectionNs(backends: number, held: number): Promise<number> {
  const { routing } = await primary(backends);
  const { index, table } = routing;
  const counts = new Uint32Array(table.end);
  const clients = Array.from({ length: 4096 }, (_, n) => {
    const country = COUNTRIES[n % 7];
    const geo = country === undefined ? null : { country, region: REGIONS[n % 6]! };
    return { app: '', hash: hashPair(n, 7), geo };
  });
  const queue: number[] = [];
  const rounds = 400_000;
  let start = 0;
  for (let n = -20_000; n < rounds; n++) {
    if (n === 0) start = performance.now();
    const slot = index.pick(clients[n & 4095]!, 'sa', []);
    counts[slot]!++;
    index.setLoad(slot, counts[slot]!);
    queue.push(slot);
    if (queue.length > held) {
      const released = queue[n + 20_000 - held] ?? slot;
      counts[released]!--;
      index.setLoad(released, counts[released]!);
    }
  }
  return ((performance.now() - start) * 1e6) / rounds;
}

const REPORT = {
  reason: 'finished',
  connected: true,
  bytesToBackend: 1,
  bytesToClient: 1,
  pickMs: 1,
  connectMs: 1,
  totalMs: 1,
  attempts: 1,
} as const;

/**
 * What one connection costs the whole use case, when its client is known and 20,000 others are open: nanoseconds of CPU with
 * the collector's, and bytes of garbage. Needs --expose-gc, and room for young objects that is not used up.
 */
export async function costOfConnection(held = 20_000): Promise<{ ns: number; garbageBytes: number }> {
  const { service } = await primary(1000);
  const requests = Array.from({ length: held }, (_, n) => ({ seq: 0, listener: 0, address: address(n), tried: [] }));
  let seq = 0;
  const connect = (count: number) => {
    for (let n = 0; n < count; n++) {
      const request = requests[n % held]!;
      request.seq = ++seq;
      service.pick(1, request, 1);
      if (seq > held) service.closed(1, seq - held, REPORT, 1);
    }
  };
  const rounds = 400_000;
  connect(rounds);
  const before = process.cpuUsage();
  connect(rounds);
  const { user, system } = process.cpuUsage(before);
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  connect(held);
  return { ns: ((user + system) * 1000) / rounds, garbageBytes: (process.memoryUsage().heapUsed - heap) / held };
}

/** Picks a second through the whole use case: binding, country, selection, reservation, and the release. */
export async function picksPerSecond(backends: number): Promise<number> {
  const { service } = await primary(backends);
  const rounds = 200_000;
  const held = 1000;
  const start = performance.now();
  for (let seq = 1; seq <= rounds; seq++) {
    const now = performance.now();
    service.pick(1, { seq, listener: 0, address: address(seq), tried: [] }, now);
    service.connected(1, seq, 1, now);
    if (seq > held) service.closed(1, seq - held, REPORT, now);
  }
  return (rounds / (performance.now() - start)) * 1000;
}

/** Bytes that one of a million bindings takes. Needs --expose-gc. */
export function bytesPerBinding(count = 1_000_000): number {
  const collect = globalThis.gc ?? ignore;
  const used = () => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const bindings = new MemoryBindings({ ttlMs: 600_000, maxBindings: count });
  const ids = Array.from({ length: 100 }, (_, i) => `backend-${i}`);
  for (let n = 0; n < count; n++) bindings.bind({ app: '', family: 4, high: n, low: 0 }, ids[n % 100]!, null, n / 1e6);
  const bytes = (used() - before) / count;
  if (bindings.size !== count) throw new Error(`${bindings.size} of ${count} bindings`);
  return bytes;
}

/** A database of `count` rows, and a primary's way to load it. */
function reloads(directory: string, count: number) {
  const path = join(directory, `reload-${count}.db`);
  const db = new Database(path);
  db.exec(
    'CREATE TABLE backends (id TEXT PRIMARY KEY, app TEXT, region TEXT, country TEXT, wg_ip TEXT, port INTEGER, healthy INTEGER, weight INTEGER, soft_limit INTEGER, hard_limit INTEGER, deleted INTEGER DEFAULT 0)',
  );
  const insert = db.prepare('INSERT INTO backends VALUES (?, ?, ?, ?, ?, ?, 1, 1, 100, 1000, 0)');
  db.transaction(() => {
    for (const row of rows(count)) insert.run(row.id, row.app, row.region, row.country, '10.1.2.3', row.port);
  })();
  const repository = new SqliteBackendRepository({ path });
  const routing = new RoutingState(new ConnectionLedger(), [LISTENER]);
  return {
    db,
    load: async () => {
      const look = await repository.look({ have: routing.table.contentHash });
      if (look.kind !== 'loaded') throw new Error(`the load is ${JSON.stringify(look)}`);
      await routing.install(look.content);
    },
    close: async () => {
      await repository.close();
      db.close();
    },
  };
}

/** Longest time, in ms, that the primary's loop was held up while a database of `count` rows was loaded and installed. */
export async function reloadStallMs(directory: string, count = 100_000): Promise<{ stallMs: number; totalMs: number }> {
  const { db, load, close } = reloads(directory, count);
  // A first load and a second, changed one: what an operator's reload meets is a primary that is warm.
  await load();
  db.exec('UPDATE backends SET weight = 2 WHERE rowid % 2 = 0');
  const probe = longestTurn();
  const start = performance.now();
  await load();
  const result = { stallMs: probe(), totalMs: performance.now() - start };
  await close();
  return result;
}

/**
 * What a reload costs the primary when one row of `count` changed, in ms of its thread's CPU, that of the loading thread
 * not counted: of each of some reloads, the first ones left out.
 */
export async function oneChangedMs(directory: string, reloadCount: number, count = 100_000): Promise<number[]> {
  const { db, load, close } = reloads(directory, count);
  const change = db.prepare('UPDATE backends SET weight = ? WHERE id = ?');
  await load();
  const costs: number[] = [];
  for (let n = 0; n < 2 * reloadCount; n++) {
    change.run(2 + n, `backend-${(n * 7919) % count}`);
    const before = process.threadCpuUsage();
    await load();
    const { user, system } = process.threadCpuUsage(before);
    costs.push((user + system) / 1000);
  }
  await close();
  return costs.slice(reloadCount);
}

/** Watches how long the loop's turns take; the returned function stops it and gives the longest, in ms. */
function longestTurn(): () => number {
  let longest = 0;
  let last = performance.now();
  let running = true;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    running = false;
    return longest;
  };
}

import type net from 'node:net';
import t, { type Test } from 'tap';
import { startCountingBackend } from '../fixtures/counting-backend.ts';
import { onEachEngine } from '../fixtures/engines.ts';
import { type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { connect, drain } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

/** Connections of each kind, at each number of workers. */
const VISITS = 60;
const WORKERS = [1, 2, 3, 4];

/** Answers with its id, and ends first, or after its client's end. */
const answering = (id: string, isFirst: boolean) => (socket: net.Socket) => {
  if (isFirst) socket.once('data', () => socket.end(id));
  else socket.resume().once('end', () => socket.end(id));
};

/** One visit, from the connection to the end of both sides: what the backend said. */
async function visit(port: number, endsFirst: boolean): Promise<string> {
  const socket = await connect(port);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  if (endsFirst) socket.end('request');
  else socket.write('request');
  const { bytes } = await drain(socket);
  if (!endsFirst) socket.end();
  await closed;
  return bytes.toString();
}

async function scaleTo(proxy: RunningProxy, count: number): Promise<void> {
  await proxy.post('/api/v1/workers/scale', { count });
  await until(
    `${count} workers`,
    async () => (await proxy.workers()).length === count && (await proxy.serving()).length === count,
  );
}

/** How often which answer came. */
async function visits(port: number, endsFirst: boolean, streams: number): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  const stream = async () => {
    for (let i = 0; i < VISITS / streams; i++) {
      const answer = await visit(port, endsFirst);
      answers[answer] = (answers[answer] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: streams }, stream));
  return answers;
}

async function soloAndPair(t: Test, limit: number, backendEndsFirst: boolean) {
  const app = backendEndsFirst ? 'backend-first' : 'client-first';
  const serve = (id: string) => startCountingBackend(t, id, answering(id, backendEndsFirst));
  const [near, far, solo] = await Promise.all([serve(`${app} near`), serve(`${app} far`), serve(`${app} solo`)]);
  return {
    limited: [near, solo],
    rows: [
      { id: near.backend.id, app, region: 'sa' as const, port: near.backend.port, hardLimit: limit },
      { id: far.backend.id, app, region: 'ap' as const, port: far.backend.port },
      { id: solo.backend.id, app: `${app}-solo`, region: 'sa' as const, port: solo.backend.port, hardLimit: limit },
    ],
    listeners: [`127.0.0.1:0=${app}`, `127.0.0.1:0=${app}-solo`],
  };
}

for (const [what, limit] of [
  ['a client that comes again as soon as it is done finds its slot free', 1],
  ['as many clients as a backend may have, each coming again as soon as it is done, find their slots free', 3],
] as const) {
  onEachEngine(t, what, async (t, engine) => {
    const orders = [await soloAndPair(t, limit, false), await soloAndPair(t, limit, true)];
    const proxy = await startProxy(t, {
      engine,
      rows: orders.flatMap(({ rows }) => rows),
      env: { EDGEPROXY_LISTEN_ADDR: orders.flatMap(({ listeners }) => listeners).join(',') },
    });
    for (const workers of WORKERS) {
      await scaleTo(proxy, workers);
      for (const [order, { rows }] of orders.entries()) {
        for (const [i, id] of [rows[0]!.id, rows[2]!.id].entries()) {
          const answers = await visits(proxy.ports[2 * order + i]!, order === 0, limit);
          t.same(answers, { [id]: VISITS }, `${workers} workers: ${id}`);
        }
      }
    }
    for (const { backend, counting } of orders.flatMap(({ limited }) => limited))
      t.ok(counting.most <= limit, `${backend.id} never held more than it may: ${counting.most} of ${limit}`);
    await until('every count to be zero', async () => (await proxy.held()) === 0);
  });
}

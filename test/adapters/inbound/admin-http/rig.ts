import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Test } from 'tap';
import type { AdminDeadlines, AdminPlaces } from '../../../../src/adapters/inbound/admin-http/connections.ts';
import {
  backendRoutes,
  probeRoutes,
  routingRoutes,
  statusRoutes,
  workerRoutes,
} from '../../../../src/adapters/inbound/admin-http/routes.ts';
import { openAdminServer } from '../../../../src/adapters/inbound/admin-http/server.ts';
import { explainPick } from '../../../../src/application/explain-pick.ts';
import { pageOfBackends } from '../../../../src/application/page-backends.ts';
import { readiness } from '../../../../src/application/readiness.ts';
import { type StatusSources, viewStatus } from '../../../../src/application/view-status.ts';
import type { WorkerView } from '../../../../src/application/worker-views.ts';
import { effectiveVariables } from '../../../../src/config.ts';
import { REFUSAL_REASONS, type RefusalReason } from '../../../../src/domain/entities.ts';
import { Rig } from '../../../application/rig.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly body: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What the supervisor would do, as the test wants it. */
export interface Actions {
  roll: () => Promise<number>;
  scale: (count: number) => void;
  look: Parameters<typeof routingRoutes>[0];
}

const HEALTH = {
  desired: 1,
  serving: 1,
  starting: 0,
  draining: 0,
  crashes: 0,
  restartInMs: 0,
  lastCrash: '',
  isOtherOnDisk: false,
};
const ROUTING = { version: 1, backends: 1, badRows: 0, error: '', loads: 1, failures: 0 };

/** An admin server over the books of `rig`, and a way to ask it. */
export async function openAdmin(
  t: Test,
  given: {
    rig?: Rig;
    token?: string | null;
    open?: readonly string[];
    actions?: Partial<Actions>;
    address?: { kind: 'unix'; path: string };
    metrics?: () => Iterable<string>;
    deadlines?: Partial<AdminDeadlines>;
    places?: Partial<AdminPlaces>;
  } = {},
) {
  const { rig = new Rig(), token = null, actions = {} } = given;
  const address = given.address ?? ({ kind: 'tcp', host: '127.0.0.1', port: 0 } as const);
  const metrics = async () => ({
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    chunks: given.metrics?.() ?? ['edgeproxy_up', ' 1\n'],
  });
  const routes = [
    ...probeRoutes(() => readinessOf(rig), metrics),
    ...statusRoutes((busiest) => viewStatus(statusSources(rig), busiest)),
    ...backendRoutes({
      listeners: () => rig.listeners,
      backends: (query, turn) => pageOfBackends(rig.routing, rig.ledger, query, turn),
      explain: (...asked) => explainPick({ service: rig.service, ...rig.decisions }, ...asked),
    }),
    ...routingRoutes(
      actions.look ?? (async () => ({ version: 1, changed: false, backends: 0, skipped: 0, path: '/routing.db' })),
    ),
    ...workerRoutes(() => ({
      list: () => workersOf(rig),
      drains: () => ({ drainMs: 30_000, reset: 0 }),
      roll: async () => ({ replaced: (await actions.roll?.()) ?? 1, draining: 0, resetInMs: 0, stopping: false }),
      scale: actions.scale ?? (() => {}),
    })),
  ];
  const defects: string[] = [];
  const server = await openAdminServer({
    address,
    token,
    open: given.open ?? [],
    routes,
    onDefect: (error) => defects.push(error.message),
    deadlines: given.deadlines ?? {},
    places: given.places ?? {},
  });
  t.teardown(() => server.close());
  const where =
    address.kind === 'unix' ? { socketPath: address.path } : { host: '127.0.0.1', port: portOf(server.name) };
  const ask = (path: string, { method = 'GET', headers = {}, body }: Ask = {}) =>
    request({ ...where, path, method, headers, agent: false }, body);
  const post = (path: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
    ask(path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
  return { rig, server, ask, post, where, defects };
}

const readinessOf = (rig: Rig) =>
  readiness({ modules: rig.modules(ROUTING, HEALTH), stopping: false, routing: ROUTING, workers: HEALTH });

const workersOf = (rig: Rig): WorkerView[] => [
  { pid: 7, incarnation: 1, state: 'serving', connections: rig.ledger.heldBy(1), resetInMs: null },
];

function statusSources(rig: Rig): StatusSources {
  const { routing, ledger, listeners } = rig;
  return {
    identity: () => ({
      version: '1.2.3',
      node: 'v26.0.0',
      engine: 'stream',
      engineReason: 'EDGEPROXY_ENGINE=stream',
      pid: 5,
      region: rig.popRegion,
      listeners,
      configuration: effectiveVariables({ EDGEPROXY_REGION: 'eu', EDGEPROXY_ADMIN_TOKEN: 'a-secret-of-some-length' }),
    }),
    admin: () => '127.0.0.1:1',
    uptimeMs: () => 1500,
    readiness: () => readinessOf(rig),
    workers: () => workersOf(rig),
    routing,
    ledger,
    routingAge: () => ({ servesForMs: 10, lookedMsAgo: 5 }),
    databasePath: async () => '/routing.db',
    accepted: () => 3,
    refusals: () => ({ ...NO_REFUSALS, all_full: 2 }),
    geoip: () => ({ path: '/geo.mmdb', bundled: true, ageSeconds: 60 }),
    bindings: () => ({ count: rig.bindings.size, max: 10_000, evicted: 0, ttlMs: 1000 }),
  };
}

const NO_REFUSALS = Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0])) as Record<RefusalReason, number>;

export function portOf(name: string): number {
  return Number(name.slice(name.lastIndexOf(':') + 1));
}

async function request(options: http.RequestOptions, body = ''): Promise<Answer> {
  const request = http.request(options);
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const json = response.headers['content-type']?.startsWith('application/json') === true;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    body: json && text !== '' ? JSON.parse(text) : undefined,
  };
}

/** What comes back for bytes that no client of HTTP would send. */
export async function send(port: number, bytes: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.end(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

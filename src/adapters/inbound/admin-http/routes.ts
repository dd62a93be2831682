// Runs in: primary
import type { FastifyInstance } from 'fastify';
import type { Explanation } from '../../../application/explain-pick.ts';
import type { BackendPage, BackendsQuery } from '../../../application/page-backends.ts';
import type { Readiness } from '../../../application/readiness.ts';
import type { AskedLook } from '../../../application/reload-routing.ts';
import type { WorkerView } from '../../../application/supervise-workers.ts';
import type { Status } from '../../../application/view-status.ts';
import type { ClientAddress, Listener } from '../../../domain/entities.ts';
import { EdgeError } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';

/** What the admin API tells and does. */
export interface AdminRoutes {
  readonly listeners: readonly Listener[];
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
  readonly backends: (query: BackendsQuery) => Promise<BackendPage>;
  /** `busiest`: how many backends are shown one by one. */
  readonly status: (busiest: number) => Promise<Status>;
  /** Looks at the routing database now. `path`: the file, absolute. */
  readonly look: () => Promise<AskedLook & { readonly path: string }>;
  readonly workers: () => readonly WorkerView[];
  readonly explain: (listener: Listener, address: ClientAddress) => Explanation;
  readonly roll: () => Promise<number>;
  readonly scale: (count: number) => void;
}

/** Rows of a page unless asked for more: a table of 100,000 is no answer to a person. */
const DEFAULT_ROWS = 1000;
/** Backends that `status` shows one by one unless asked for more: one screen. */
const DEFAULT_BUSIEST = 20;
export const MAX_WORKERS = 256;

export function addRoutes(app: FastifyInstance, routes: AdminRoutes): void {
  app.get('/healthz', async () => ({ status: 'alive' }));

  app.get('/readyz', async (_request, reply) => {
    const readiness = routes.readiness();
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });

  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await routes.metrics();
    return reply.header('content-type', contentType).send(text);
  });

  app.get('/api/v1/backends', async () => {
    const page = await routes.backends({ limit: DEFAULT_ROWS });
    return { ...page, backends: [...page.backends] };
  });

  app.get<{ Querystring: { busiest?: number } }>(
    '/api/v1/status',
    {
      schema: {
        querystring: {
          type: 'object',
          properties: { busiest: { type: 'integer', minimum: 0, maximum: DEFAULT_ROWS } },
        },
      },
    },
    ({ query }) => routes.status(query.busiest ?? DEFAULT_BUSIEST),
  );

  app.post('/api/v1/routing/look', () => routes.look());

  app.get('/api/v1/workers', async () => ({ workers: routes.workers() }));

  app.get<{ Querystring: { ip: string; listener?: string; limit?: number } }>(
    '/api/v1/explain',
    {
      schema: {
        querystring: {
          type: 'object',
          required: ['ip'],
          properties: {
            ip: { type: 'string' },
            listener: { type: 'string' },
            limit: { type: 'integer', minimum: 1, maximum: 1_000_000 },
          },
        },
      },
    },
    async ({ query }) => {
      const explanation = routes.explain(findListener(routes.listeners, query.listener), readAddress(query.ip));
      const limit = query.limit ?? DEFAULT_ROWS;
      const omitted = Math.max(0, explanation.candidates.length - limit);
      return { ...explanation, candidates: explanation.candidates.slice(0, limit), omitted };
    },
  );

  app.post('/api/v1/workers/roll', async () => ({ replaced: await routes.roll() }));

  app.post<{ Body: { count: number } }>(
    '/api/v1/workers/scale',
    {
      schema: {
        body: {
          type: 'object',
          required: ['count'],
          additionalProperties: false,
          properties: { count: { type: 'integer', minimum: 1, maximum: MAX_WORKERS } },
        },
      },
    },
    async ({ body }) => {
      routes.scale(body.count);
      return { count: body.count };
    },
  );
}

function readAddress(text: string): ClientAddress {
  const address = parseAddress(text);
  if (address === null) throw new EdgeError('EDGE_ERR_USAGE', `ip=${text.slice(0, 100)} is no IP address`);
  return address;
}

/** By name (`0.0.0.0:8080`) or by app; the first one when nothing is asked for. */
function findListener(listeners: readonly Listener[], wanted: string | undefined): Listener {
  const found =
    wanted === undefined ? listeners[0] : listeners.find(({ name, app }) => name === wanted || app === wanted);
  if (found !== undefined) return found;
  const known = listeners.map(({ name, app }) => (app === '' ? name : `${name} (${app})`)).join(', ');
  throw new EdgeError('EDGE_ERR_USAGE', `there is no listener ${String(wanted).slice(0, 100)}; there are: ${known}`);
}

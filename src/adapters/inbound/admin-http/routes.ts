// Runs in: primary
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ExplainQuery, Explanation } from '../../../application/explain-pick.ts';
import type { Turn } from '../../../application/in-slices.ts';
import type { BackendPage, BackendsQuery } from '../../../application/page-backends.ts';
import type { Readiness } from '../../../application/readiness.ts';
import type { AskedLook } from '../../../application/reload-routing.ts';
import type { DrainView, RollResult, WorkerView } from '../../../application/supervise-workers.ts';
import { BACKEND_STATES } from '../../../application/view-backends.ts';
import type { Status } from '../../../application/view-status.ts';
import type { ClientAddress } from '../../../domain/client-address.ts';
import type { Listener } from '../../../domain/entities.ts';
import { REGIONS } from '../../../domain/value-objects.ts';
import { MAX_WORKERS } from '../../../domain/worker-count.ts';
import { EdgeError } from '../../../errors.ts';
import { parseAddress } from '../../../ip-address.ts';
import type { LargeAnswers } from './large-answers.ts';
import { digits, integer, oneOf, type Readers, readMembers, text, type Values } from './members.ts';

/** What the admin API tells and does. A `turn` fails when nobody waits for the answer any more. */
export interface AdminRoutes {
  readonly listeners: readonly Listener[];
  readonly readiness: () => Readiness;
  /** `chunks`: the text, made as it is read. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly chunks: Iterable<string> }>;
  readonly backends: (query: BackendsQuery, turn: Turn) => Promise<BackendPage>;
  /** `busiest`: how many backends are shown one by one. */
  readonly status: (busiest: number, turn: Turn) => Promise<Status>;
  /** Looks at the routing database now. `path`: the file, absolute. */
  readonly look: () => Promise<AskedLook & { readonly path: string }>;
  readonly workers: () => readonly WorkerView[];
  readonly explain: (
    listener: Listener,
    address: ClientAddress,
    query: ExplainQuery,
    turn: Turn,
  ) => Promise<Explanation>;
  readonly drains: () => DrainView;
  readonly roll: () => Promise<RollResult>;
  readonly scale: (count: number) => void;
}

/** Rows of a page unless asked for more: a table of 100,000 is no answer to a person. */
const DEFAULT_ROWS = 1000;
export const MAX_ROWS = 10_000;
/** Backends that `status` shows one by one unless asked for more: one screen. */
const DEFAULT_BUSIEST = 20;
const MAX_BUSIEST = 100;
/** Requests in the making, those included whose client hung up meanwhile: the bound on connections is none on them. */
const MAX_UNDER_WAY = 512;

/** Held for a row until its page is sent: a number, and what an explanation has found out. */
const ENTRY_BYTES = 8;
const RANKED_BYTES = 100;

/** What an endpoint takes; whatever else is given is refused. */
interface Takes<Query extends Readers, Body extends Readers> {
  readonly query?: Query;
  readonly body?: Body;
}

/** Returns the methods of each path that there is. */
export function addRoutes(
  app: FastifyInstance,
  routes: AdminRoutes,
  large: LargeAnswers,
): ReadonlyMap<string, readonly string[]> {
  const index: { method: string; path: string; query: string[]; body: string[]; what: string }[] = [];
  let underWay = 0;
  const methods = new Map<string, readonly string[]>();
  function add<const Query extends Readers, const Body extends Readers>(
    method: 'GET' | 'POST',
    path: string,
    what: string,
    { query = {} as Query, body = {} as Body }: Takes<Query, Body>,
    handle: (query: Values<Query>, reply: FastifyReply, body: Values<Body>) => unknown,
  ): void {
    index.push({ method, path, query: Object.keys(query), body: Object.keys(body), what });
    methods.set(path, [...(methods.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
    app.route({
      method,
      url: path,
      handler: async (request, reply) => {
        const given = method === 'POST' ? request.body : undefined;
        const asked = [readMembers(request.query, query), reply, readMembers(given, body)] as const;
        if (underWay >= MAX_UNDER_WAY)
          throw new EdgeError('EDGE_ERR_OVERLOADED', 'too many requests are under way: ask again in a while');
        underWay++;
        try {
          return await handle(...asked);
        } finally {
          underWay--;
        }
      },
    });
  }

  add('GET', '/', 'this index', {}, () => ({ name: 'edgeproxy', endpoints: index }));

  add('GET', '/healthz', '200 while the primary lives', {}, () => ({ status: 'alive' }));

  add('GET', '/readyz', '200 when it can serve, else 503, with reasons', {}, (_query, reply) => {
    const readiness = routes.readiness();
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });

  add('GET', '/metrics', 'Prometheus text', {}, async (_query, reply) => {
    const { contentType, chunks } = await routes.metrics();
    return large.text(reply, contentType, chunks);
  });

  const busiest = digits(0, MAX_BUSIEST);
  add('GET', '/api/v1/status', 'how the proxy stands, on one screen', { query: { busiest } }, (query, reply) =>
    routes.status(query.busiest ?? DEFAULT_BUSIEST, large.turnFor(reply)),
  );

  const limit = digits(1, MAX_ROWS);
  const rowFilter = { id: text, app: text, region: oneOf(REGIONS), limit, after: text };
  add(
    'GET',
    '/api/v1/backends',
    'the backends that fit, by id, page by page: ask for after=<next>',
    { query: { ...rowFilter, state: oneOf(BACKEND_STATES) } },
    ({ limit = DEFAULT_ROWS, ...filter }, reply) =>
      large.rows(reply, limit * ENTRY_BYTES, async (turn) => {
        const { backends, ...head } = await routes.backends({ ...filter, limit }, turn);
        return { head, name: 'backends', rows: backends };
      }),
  );

  add('GET', '/api/v1/workers', 'the worker processes', {}, () => ({ workers: routes.workers(), ...routes.drains() }));

  add(
    'GET',
    '/api/v1/explain',
    'what a client of address ip would get now and why, and every backend that fits, the best first, page by page',
    { query: { ip: text, listener: text, ...rowFilter } },
    ({ ip, listener, limit = DEFAULT_ROWS, ...filter }, reply) => {
      const wanted = [findListener(routes.listeners, listener), readAddress(ip)] as const;
      return large.rows(reply, limit * RANKED_BYTES, async (turn) => {
        const { candidates, ...head } = await routes.explain(...wanted, { ...filter, limit }, turn);
        return { head, name: 'candidates', rows: candidates };
      });
    },
  );

  add('POST', '/api/v1/routing/look', 'looks at the routing database now', {}, () => routes.look());

  add('POST', '/api/v1/workers/roll', 'replaces every worker, one at a time', {}, () => routes.roll());

  add(
    'POST',
    '/api/v1/workers/scale',
    'sets the number of workers',
    { body: { count: integer(1, MAX_WORKERS) } },
    (_query, _reply, { count }) => {
      if (count === undefined)
        throw new EdgeError('EDGE_ERR_USAGE', `the body must say how many: {"count":N}, 1 to ${MAX_WORKERS}`);
      routes.scale(count);
      return { count };
    },
  );
  return methods;
}

function readAddress(text: string | undefined): ClientAddress {
  if (text === undefined) throw new EdgeError('EDGE_ERR_USAGE', "say which client: ip=<the client's address>");
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

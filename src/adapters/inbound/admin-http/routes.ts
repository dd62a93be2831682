// Runs in: primary
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
import { digits, integer, oneOf, text } from './members.ts';
import { get, post, type Route } from './route.ts';

/** `chunks`: the text, made as it is read. */
export type Scrape = () => Promise<{ readonly contentType: string; readonly chunks: Iterable<string> }>;

/** For machines that ask whether, and how, the proxy is. */
export function probeRoutes(readiness: () => Readiness, metrics: Scrape): Route[] {
  return [
    get('/healthz', '200 while the primary lives', {}, () => ({ status: 'alive' })),

    get('/readyz', '200 when it can serve, else 503, with reasons', {}, ({ reply }) => {
      const now = readiness();
      return reply.code(now.ready ? 200 : 503).send(now);
    }),

    get('/metrics', 'Prometheus text', {}, async ({ reply, large }) => {
      const { contentType, chunks } = await metrics();
      return large.text(reply, contentType, chunks);
    }),
  ];
}

/** Backends that `status` shows one by one unless asked for more: one screen. */
const DEFAULT_BUSIEST = 20;
const MAX_BUSIEST = 100;

/** `busiest`: how many backends are shown one by one. A `turn` fails when nobody waits for the answer any more. */
export function statusRoutes(status: (busiest: number, turn: Turn) => Promise<Status>): Route[] {
  const busiest = digits(0, MAX_BUSIEST);
  return [
    get('/api/v1/status', 'how the proxy stands, on one screen', { busiest }, ({ query, reply, large }) =>
      status(query.busiest ?? DEFAULT_BUSIEST, large.turnFor(reply)),
    ),
  ];
}

/** Rows of a page unless asked for more: a table of 100,000 is no answer to a person. */
const DEFAULT_ROWS = 1000;
export const MAX_ROWS = 10_000;

/** Held for a row until its page is sent: a number, and what an explanation has found out. */
const ENTRY_BYTES = 8;
const RANKED_BYTES = 100;

const limit = digits(1, MAX_ROWS);
const ROW_FILTER = { id: text, app: text, region: oneOf(REGIONS), limit, after: text };

export interface BackendViews {
  readonly listeners: () => readonly Listener[];
  readonly backends: (query: BackendsQuery, turn: Turn) => Promise<BackendPage>;
  readonly explain: (
    listener: Listener,
    address: ClientAddress,
    query: ExplainQuery,
    turn: Turn,
  ) => Promise<Explanation>;
}

/** What the backends are, and which of them a client would get. */
export function backendRoutes({ listeners, backends, explain }: BackendViews): Route[] {
  return [
    get(
      '/api/v1/backends',
      'the backends that fit, by id, page by page: ask for after=<next>',
      { ...ROW_FILTER, state: oneOf(BACKEND_STATES) },
      ({ query: { limit = DEFAULT_ROWS, ...filter }, reply, large }) =>
        large.rows(reply, limit * ENTRY_BYTES, async (turn) => {
          const { backends: rows, ...head } = await backends({ ...filter, limit }, turn);
          return { head, name: 'backends', rows };
        }),
    ),

    get(
      '/api/v1/explain',
      'what a client of address ip would get now and why, and every backend that fits, the best first, page by page',
      { ip: text, listener: text, ...ROW_FILTER },
      ({ query: { ip, listener, limit = DEFAULT_ROWS, ...filter }, reply, large }) => {
        const wanted = [findListener(listeners(), listener), readAddress(ip)] as const;
        return large.rows(reply, limit * RANKED_BYTES, async (turn) => {
          const { candidates, ...head } = await explain(...wanted, { ...filter, limit }, turn);
          return { head, name: 'candidates', rows: candidates };
        });
      },
    ),
  ];
}

/** `look` looks at the routing database now; `path`: the file, absolute. */
export function routingRoutes(look: () => Promise<AskedLook & { readonly path: string }>): Route[] {
  return [post('/api/v1/routing/look', 'looks at the routing database now', {}, () => look())];
}

export interface WorkerActions {
  list(): readonly WorkerView[];
  drains(): DrainView;
  roll(): Promise<RollResult>;
  scale(count: number): void;
}

export function workerRoutes(workers: () => WorkerActions): Route[] {
  const all = () => ({ workers: workers().list(), ...workers().drains() });
  return [
    get('/api/v1/workers', 'the worker processes', {}, all),

    post('/api/v1/workers/roll', 'replaces every worker, one at a time', {}, () => workers().roll()),

    post(
      '/api/v1/workers/scale',
      'sets the number of workers',
      { count: integer(1, MAX_WORKERS) },
      ({ body: { count } }) => {
        if (count === undefined)
          throw new EdgeError('EDGE_ERR_USAGE', `the body must say how many: {"count":N}, 1 to ${MAX_WORKERS}`);
        workers().scale(count);
        return { count };
      },
    ),
  ];
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

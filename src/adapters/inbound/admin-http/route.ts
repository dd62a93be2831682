// Runs in: primary
import type { FastifyInstance, FastifyReply } from 'fastify';
import { EdgeError } from '../../../errors.ts';
import type { LargeAnswers } from './large-answers.ts';
import { type Readers, readMembers, type Values } from './members.ts';

/** One endpoint. It takes what its readers read, and whatever else is given is refused. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** What it answers or does, for the index. */
  readonly what: string;
  readonly query: Readers;
  readonly body: Readers;
  /** Returns the answer, or sends it by itself. */
  readonly handle: (asked: Asked<Readers, Readers>) => unknown;
}

export interface Asked<Query extends Readers, Body extends Readers> {
  readonly query: Values<Query>;
  readonly body: Values<Body>;
  readonly reply: FastifyReply;
  /** For answers with many rows. */
  readonly large: LargeAnswers;
}

export function get<const Query extends Readers>(
  path: string,
  what: string,
  query: Query,
  handle: (asked: Asked<Query, Readers>) => unknown,
): Route {
  return { method: 'GET', path, what, query, body: {}, handle: handle as Route['handle'] };
}

export function post<const Body extends Readers>(
  path: string,
  what: string,
  body: Body,
  handle: (asked: Asked<Readers, Body>) => unknown,
): Route {
  return { method: 'POST', path, what, query: {}, body, handle: handle as Route['handle'] };
}

/** Requests in the making, those included whose client hung up meanwhile: the bound on connections is none on them. */
const MAX_UNDER_WAY = 512;

/** Adds `routes`, and an index of them. Returns the methods of each path that there is. */
export function addRoutes(
  app: FastifyInstance,
  routes: readonly Route[],
  large: LargeAnswers,
): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, readonly string[]>();
  const all: Route[] = [
    get('/', 'this index', {}, () => ({ name: 'edgeproxy', endpoints: all.map(inIndex) })),
    ...routes,
  ];
  let underWay = 0;
  for (const { method, path, query, body, handle } of all) {
    methods.set(path, [...(methods.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
    app.route({
      method,
      url: path,
      handler: async (request, reply) => {
        const given = method === 'POST' ? request.body : undefined;
        const asked = { query: readMembers(request.query, query), reply, body: readMembers(given, body), large };
        if (underWay >= MAX_UNDER_WAY)
          throw new EdgeError('EDGE_ERR_OVERLOADED', 'too many requests are under way: ask again in a while');
        underWay++;
        try {
          return await handle(asked);
        } finally {
          underWay--;
        }
      },
    });
  }
  return methods;
}

function inIndex({ method, path, what, query, body }: Route) {
  return { method, path, query: Object.keys(query), body: Object.keys(body), what };
}

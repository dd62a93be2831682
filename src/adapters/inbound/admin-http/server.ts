// Runs in: primary
import { timingSafeEqual } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import net from 'node:net';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { codeOf, EdgeError, type ErrorCode, messageOf } from '../../../errors.ts';
import { formatEndpoint, parseAddress } from '../../../ip-address.ts';
import { AdminConnections, type AdminDeadlines, type AdminPlaces, DEADLINES, PLACES } from './connections.ts';
import { LargeAnswers } from './large-answers.ts';
import { addRoutes, type Route } from './route.ts';

// An `import` would read all that the module has, and so load its WebSocket: 60 ms of processor at each start.
const { createServer } = process.getBuiltinModule('node:http');

export interface AdminServerOptions {
  readonly address:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string };
  /** `null`: none is asked for. */
  readonly token: string | null;
  /** Paths that may be read without it, `/healthz`. Default: none. */
  readonly open?: readonly string[];
  readonly routes: readonly Route[];
  /** Told of what was thrown and is no answer of ours: the request got a 500, or there was none. */
  readonly onDefect: (error: Error) => void;
  /** In place of DEADLINES. */
  readonly deadlines?: Partial<AdminDeadlines>;
  /** In place of PLACES. */
  readonly places?: Partial<AdminPlaces>;
}

export interface AdminServer {
  /** As bound: `127.0.0.1:8081` or `unix:/path`. */
  readonly name: string;
  /** Connections held now. */
  readonly connections: number;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 16 << 10;
/** Held for all large answers under way. */
const MAX_ANSWER_BYTES = 64 << 20;

/** Errors of ours that are the caller's doing, and the status that says so. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  EDGE_ERR_BUSY: 409,
  EDGE_ERR_OVERLOADED: 503,
  EDGE_ERR_USAGE: 400,
  EDGE_ERR_WORKER_START: 503,
};

/**
 * The admin HTTP server.
 * @throws EDGE_ERR_ADMIN_LISTEN when its address cannot be bound
 */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { address, token, routes, onDefect } = options;
  // Node's own timeouts leave half-closed descriptors behind: ours are in AdminConnections.
  const server = createServer({ headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 0 });
  const connections = new AdminConnections(
    server,
    { ...DEADLINES, ...options.deadlines },
    { ...PLACES, ...options.places },
  );
  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: false,
    serverFactory: (handle) =>
      server.on('request', (request, response) => {
        if (connections.begin(request, response)) handle(request, response);
      }),
    // What the router cannot read never reaches the error handler, and would be answered in another shape.
    frameworkErrors: answerError(onDefect),
    clientErrorHandler: (error, socket) => connections.unreadable(error, socket),
  });
  app.addHook('onRequest', refuseForeignPages);
  if (token !== null) app.addHook('onRequest', requireToken(token, options.open ?? []));
  else if (address.kind === 'tcp') app.addHook('onRequest', refuseForeignNames);
  app.addHook('onRequest', async ({ raw, headers }) => {
    // Whoever asks for what is open to all has proved nothing.
    if (token === null || headers.authorization !== undefined) connections.prove(raw.socket);
  });
  app.addHook('onSend', async ({ raw }) => connections.answering(raw.socket));
  app.setErrorHandler(answerError(onDefect));
  app.removeContentTypeParser('text/plain');
  const methods = addRoutes(app, routes, new LargeAnswers(MAX_ANSWER_BYTES, onDefect));
  app.setNotFoundHandler((request, reply) => answerUnknown(request, reply, methods));
  const name = await listen(app, address);
  // Such as a connection that could not be accepted for want of a descriptor.
  app.server.on('error', onDefect);
  return {
    name,
    get connections() {
      return connections.size;
    },
    close: async () => {
      const closed = app.close();
      await connections.close();
      await closed;
    },
  };
}

/** No handler: an unknown path, or a known one with another method. */
function answerUnknown(
  request: FastifyRequest,
  reply: FastifyReply,
  methods: ReadonlyMap<string, readonly string[]>,
): void {
  const path = pathOf(request);
  const known = methods.get(path);
  if (known === undefined) {
    void answer(reply, 404, 'EDGE_ERR_USAGE', `there is no ${path.slice(0, 200)}; GET / names what there is`);
    return;
  }
  const allowed = [...known, 'OPTIONS'].join(', ');
  reply.header('allow', allowed);
  if (request.method === 'OPTIONS') void reply.code(204).send();
  else void answer(reply, 405, 'EDGE_ERR_USAGE', `${path} takes ${allowed}, not ${request.method}`);
}

async function listen(app: FastifyInstance, address: AdminServerOptions['address']): Promise<string> {
  try {
    if (address.kind === 'tcp') {
      await app.listen({ host: address.host, port: address.port });
      const bound = app.server.address();
      return formatEndpoint(address.host, typeof bound === 'object' && bound !== null ? bound.port : address.port);
    }
    await removeStaleSocket(address.path);
    // Made with its final mode: between a bind and a chmod anyone could connect.
    const umask = process.umask(0o177);
    try {
      await app.listen({ path: address.path });
    } finally {
      process.umask(umask);
    }
    return `unix:${address.path}`;
  } catch (cause) {
    await app.close();
    const where = address.kind === 'tcp' ? formatEndpoint(address.host, address.port) : `unix:${address.path}`;
    const message = `cannot bind the admin address ${where}: ${messageOf(cause)}; set EDGEPROXY_ADMIN_ADDR to another, or to off`;
    throw new EdgeError('EDGE_ERR_ADMIN_LISTEN', message, { cause });
  }
}

/**
 * A socket file outlives a process that was killed, and would then be in its successor's way. Other files stay, and so
 * does the socket of a process that lives: binding over it then fails with EADDRINUSE.
 */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (found?.isSocket() && !(await isAlive(path))) await rm(path);
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // ECONNREFUSED: nobody listens. Anything else, such as a full queue, is somebody.
    probe.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}

/** A page in the operator's browser may send requests to loopback; a browser names such a page, and no tool of ours does. */
async function refuseForeignPages(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { origin, 'sec-fetch-site': site } = request.headers;
  const foreign = origin !== undefined && origin !== `http://${request.headers.host ?? ''}`;
  if (foreign || site === 'cross-site')
    await answer(reply, 403, 'EDGE_ERR_USAGE', 'requests from other web pages are refused');
}

/**
 * A page whose own name was made to resolve to loopback (DNS rebinding) is no foreign page to the browser, but it cannot
 * help naming itself as the host. Where a token is asked for, it has none.
 */
async function refuseForeignNames(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const name = request.hostname.replace(/^\[|\]$/g, '');
  if (name !== 'localhost' && parseAddress(name) === null)
    await answer(reply, 403, 'EDGE_ERR_USAGE', 'without EDGEPROXY_ADMIN_TOKEN the host is an IP address or localhost');
}

/** `open`: paths that may be read without it; one that is given must be right there, too. */
function requireToken(
  token: string,
  open: readonly string[],
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  const wanted = Buffer.from(`Bearer ${token}`);
  return async (request, reply) => {
    const { authorization } = request.headers;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (authorization === undefined && reads && open.includes(pathOf(request))) return;
    const given = Buffer.from(authorization ?? '');
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
    reply.header('www-authenticate', 'Bearer');
    await answer(reply, 401, 'EDGE_ERR_USAGE', 'this needs the header "authorization: Bearer <EDGEPROXY_ADMIN_TOKEN>"');
  };
}

function answerError(onDefect: (error: Error) => void) {
  return (error: FastifyError | EdgeError, _request: FastifyRequest, reply: FastifyReply): void => {
    if (error instanceof EdgeError) {
      void answer(reply, STATUS[error.code] ?? 500, error.code, error.message);
      return;
    }
    const status = error.statusCode ?? 500;
    if (status >= 500) onDefect(error);
    // What `curl -d` sends by itself is a form.
    const message =
      status === 415 ? 'the body must be JSON, with the header "content-type: application/json"' : error.message;
    void answer(reply, status, status < 500 ? 'EDGE_ERR_USAGE' : 'EDGE_ERR_INTERNAL', message);
  };
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}

function answer(reply: FastifyReply, status: number, code: ErrorCode, message: string): FastifyReply {
  return reply.code(status).send({ error: { code, message } });
}

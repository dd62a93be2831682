// Runs in: cli
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { AdminAddress } from '../config.ts';
import { codeOf, EdgeError, ERRORS, type ErrorCode, messageOf } from '../errors.ts';
import { formatEndpoint } from '../ip-address.ts';

// An `import` would read all that the module has, and so load its WebSocket: 60 ms of processor for each command.
const { request } = process.getBuiltinModule('node:http');

export interface AdminClientOptions {
  readonly address: AdminAddress;
  /** `null`: none is sent. */
  readonly token: string | null;
}

export interface AdminRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  /** Ends the request; by default it ends by itself when nothing was heard for 10 s. */
  readonly signal?: AbortSignal;
}

const SILENCE_MS = 10_000;
/** A million candidates are some 250 MB. */
const MAX_ANSWER_BYTES = 512 << 20;
/** Errors that the API gives in the terms of the caller, so that the exit code tells them apart. */
const PASSED_ON: ReadonlySet<string> = new Set<ErrorCode>(['EDGE_ERR_USAGE', 'EDGE_ERR_BUSY', 'EDGE_ERR_WORKER_START']);

/** The admin API of a running proxy, from outside. */
export class AdminClient {
  /** `127.0.0.1:8081`, `unix:/path`. */
  readonly name: string;
  readonly #target: RequestOptions;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ address, token }: AdminClientOptions) {
    this.name = address.kind === 'unix' ? `unix:${address.path}` : formatEndpoint(address.host, address.port);
    this.#target =
      address.kind === 'unix' ? { socketPath: address.path } : { host: reachable(address.host), port: address.port };
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` };
  }

  /**
   * The answer's JSON.
   * @throws EDGE_ERR_ADMIN_UNREACHABLE, EDGE_ERR_ADMIN_REFUSED, and EDGE_ERR_USAGE, EDGE_ERR_BUSY and
   *   EDGE_ERR_WORKER_START as the API gives them
   */
  async ask(asked: AdminRequest): Promise<unknown> {
    const { status, text } = await this.#exchange(asked).catch((cause: unknown) => {
      if (cause instanceof EdgeError) throw cause;
      throw this.#unreachable(cause);
    });
    const answer = parseJson(text);
    if (status === 200 && answer !== undefined) return answer;
    throw this.#refused(status, answer);
  }

  /** EDGE_ERR_ADMIN_REFUSED for an answer without what it should hold. */
  misunderstood(): EdgeError {
    return new EdgeError(
      'EDGE_ERR_ADMIN_REFUSED',
      `what answers at ${this.name} is no admin API of this release of edgeProxy: name the right address with --admin`,
    );
  }

  #exchange({ method, path, body, signal }: AdminRequest): Promise<{ status: number; text: string }> {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      ...this.#headers,
      'content-length': Buffer.byteLength(payload),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return new Promise((resolve, reject) => {
      // A connection of its own: a kept one would keep the process.
      const options: RequestOptions = { ...this.#target, method, path, headers, agent: false };
      const sent = request(signal === undefined ? options : { ...options, signal }, (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
      });
      if (signal === undefined) {
        sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error(`no answer within ${SILENCE_MS / 1000} s`)));
      }
      sent.on('error', reject);
      sent.end(payload);
    });
  }

  #unreachable(cause: unknown): EdgeError {
    const advice = ADVICE[codeOf(cause)] ?? `${messageOf(cause)}. Does something else than edgeProxy listen there?`;
    const message = `the admin API at ${this.name} could not be reached: ${advice}`;
    return new EdgeError('EDGE_ERR_ADMIN_UNREACHABLE', message, { cause });
  }

  #refused(status: number, answer: unknown): EdgeError {
    const error = isObject(answer) && isObject(answer.error) ? answer.error : null;
    if (error === null) return this.misunderstood();
    if (status === 401) {
      const message = `the admin API at ${this.name} asks for another token: set EDGEPROXY_ADMIN_TOKEN to the proxy's`;
      return new EdgeError('EDGE_ERR_ADMIN_REFUSED', message);
    }
    const { code, message } = error;
    const text = String(message).slice(0, 2000);
    if (isErrorCode(code) && PASSED_ON.has(code)) return new EdgeError(code, text);
    const said = `${text} (HTTP ${status}, ${String(code).slice(0, 100)})`;
    return new EdgeError('EDGE_ERR_ADMIN_REFUSED', `the admin API at ${this.name} answered: ${said}`);
  }
}

const ADVICE_TO_LOOK = 'Is the proxy running? If it is, name its EDGEPROXY_ADMIN_ADDR with --admin <addr>';
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing listens there. ${ADVICE_TO_LOOK}`,
  ENOENT: `there is no such socket. ${ADVICE_TO_LOOK}`,
  EACCES: "permission denied. Run this as the proxy's user, or as root",
  ECONNRESET: 'the connection was reset. Has the proxy just stopped? Its log says more',
};

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where a server that listens on every address is reached. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`its answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Runs in: cli
import type { Command } from 'commander';
import { BackendEditor } from '../adapters/outbound/sqlite/backend-editor.ts';
import { ownEndpointTest } from '../adapters/outbound/sqlite/own-endpoints.ts';
import { type Environment, readVariable } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { formatEndpoint, parseAddress } from '../ip-address.ts';
import { addJsonOption, type CommonOptions } from './arguments.ts';
import { ownEndpointsOf } from './own-endpoints.ts';

/** What every command on the routing database takes. */
export interface RoutingFileOptions extends CommonOptions {
  readonly db?: string;
}

export function addRoutingFileOptions(command: Command): Command {
  command.option('--db <path>', 'the routing database (default: EDGEPROXY_DB_PATH, or routing.db)');
  return addJsonOption(command);
}

export function routingFile(options: RoutingFileOptions, env: Environment): string {
  if (options.db === '') throw new EdgeError('EDGE_ERR_USAGE', '--db needs the path of the routing database');
  return options.db ?? readVariable(env, 'EDGEPROXY_DB_PATH');
}

export interface EditorUse extends RoutingFileOptions {
  /** Create a missing database. Default: fail. */
  readonly create?: boolean;
  /** Refuse addresses of our own, as the environment has them. Default: no address is written. */
  readonly refuseLoops?: boolean;
}

/** Runs `work` on the routing database; errors get what to do about them in terms of these commands. */
export function withEditor<T>(
  options: EditorUse,
  work: (editor: BackendEditor) => T,
  env: Environment = process.env,
): T {
  const path = routingFile(options, env);
  try {
    const ownEndpoints = options.refuseLoops ? listenersOf(env) : [];
    const editor = new BackendEditor({ path, create: options.create ?? false, ownEndpoints });
    try {
      return work(editor);
    } finally {
      editor.close();
    }
  } catch (error) {
    throw error instanceof EdgeError ? withAdvice(error) : error;
  }
}

/** Says why `{host, port}` was refused when it is an address of our own, as the environment has them. */
export function explainLoop(
  error: unknown,
  { host, port }: { readonly host?: string | undefined; readonly port?: number | undefined },
  env: Environment = process.env,
): unknown {
  if (!(error instanceof EdgeError) || error.code !== 'EDGE_ERR_BACKEND_INVALID') return error;
  const address = parseAddress(host ?? '');
  if (address === null || port === undefined || !ownEndpointTest(listenersOf(env))(address.text, port)) return error;
  const message =
    `${formatEndpoint(address.text, port)} is an address of edgeProxy itself: it would dial itself without end. ` +
    'If the proxy listens elsewhere, run this with its EDGEPROXY_LISTEN_ADDR and EDGEPROXY_ADMIN_ADDR';
  return new EdgeError(error.code, message, { cause: error });
}

/** When a running proxy sees what was just written. */
export function reloadSecs(env: Environment = process.env): number {
  return readVariable(env, 'EDGEPROXY_DB_RELOAD_SECS') / 1000;
}

function listenersOf(env: Environment) {
  return ownEndpointsOf(readVariable(env, 'EDGEPROXY_LISTEN_ADDR'), readVariable(env, 'EDGEPROXY_ADMIN_ADDR'));
}

/** Appended to messages that do not know of these commands. */
const ADVICE: Partial<Record<EdgeError['code'], string>> = {
  EDGE_ERR_DB_MISSING: ', or name it with --db; "backends add" creates one',
  EDGE_ERR_BACKEND_EXISTS: ' (see "backends set", whose --restore brings a removed one back)',
};

function withAdvice(error: EdgeError): EdgeError {
  const advice = ADVICE[error.code];
  return advice === undefined ? error : new EdgeError(error.code, `${error.message}${advice}`, { cause: error });
}

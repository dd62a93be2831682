// Runs in: cli
import type { Command } from 'commander';
import { type Environment, readVariable, VARIABLES } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { AdminClient } from './admin-client.ts';
import { addJsonOption, type CommonOptions } from './arguments.ts';

/** What every command that asks the running proxy takes. */
export interface AdminOptions extends CommonOptions {
  readonly admin?: string;
}

export const ADMIN_FLAGS = '--admin <addr>';
export const ADMIN_TEXT =
  'the admin API of the proxy, ip:port or unix:/path (default: EDGEPROXY_ADMIN_ADDR, or 127.0.0.1:8081)';

export function addAdminOptions(command: Command): Command {
  command.option(ADMIN_FLAGS, ADMIN_TEXT);
  return addJsonOption(command);
}

/** Stands in the help of every such command. */
export const ADMIN_NOTE = 'Asks the running proxy. If it has an EDGEPROXY_ADMIN_TOKEN, this needs the same.';

/**
 * The client for the proxy that options and environment name.
 * @throws EDGE_ERR_USAGE, EDGE_ERR_CONFIG, and EDGE_ERR_ADMIN_UNREACHABLE when the API is off
 */
export function adminClient({ admin }: AdminOptions, env: Environment = process.env): AdminClient {
  const address = admin === undefined ? readVariable(env, 'EDGEPROXY_ADMIN_ADDR') : readAddress(admin);
  if (address === null) {
    throw new EdgeError(
      'EDGE_ERR_ADMIN_UNREACHABLE',
      'the admin API is off (EDGEPROXY_ADMIN_ADDR): start the proxy with an address there, or name one with --admin <addr>',
    );
  }
  if (address.kind === 'tcp' && address.port === 0) {
    throw new EdgeError(
      'EDGE_ERR_ADMIN_UNREACHABLE',
      'port 0 stands for any free port: see "admin" in the log record "ready" for the one it is, and name it with --admin',
    );
  }
  return new AdminClient({ address, token: readVariable(env, 'EDGEPROXY_ADMIN_TOKEN') });
}

function readAddress(text: string) {
  const address = VARIABLES.EDGEPROXY_ADMIN_ADDR.parse(text);
  if (address !== undefined && address !== null) return address;
  throw new EdgeError('EDGE_ERR_USAGE', `--admin ${text.slice(0, 200)}: expected ip:port or unix:/path`);
}

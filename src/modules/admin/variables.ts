// Runs in: primary, cli
import { type ConfigProblem, parseEndpoint, type Variable, variable } from '../../variable.ts';

/** Where the admin HTTP server listens. */
export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** What of the admin API may be open to those without the token. */
const OPENABLE = ['healthz', 'readyz', 'metrics'] as const;
type Openable = (typeof OPENABLE)[number];

const TOKEN: Variable<string | null, 'adminToken'> = variable(
  'adminToken',
  '',
  'at least 16 characters without blanks',
  'bearer token of the admin API; required when it is not on loopback',
  parseToken,
);

export const ADMIN_VARIABLES = {
  /** `null`: off. */
  EDGEPROXY_ADMIN_ADDR: variable(
    'admin',
    '127.0.0.1:8081',
    '`ip:port`, `unix:/path`, or `off`',
    'where the admin HTTP server listens',
    parseAdmin,
  ),
  /** `null`: none is asked for. */
  EDGEPROXY_ADMIN_TOKEN: { ...TOKEN, isSecret: true },
  EDGEPROXY_ADMIN_OPEN: variable(
    'adminOpen',
    '',
    '`healthz`, `readyz`, `metrics`, comma-separated, or nothing',
    'what of the admin API may be read without the token',
    parseOpen,
  ),
} as const;

/** What is wrong with values that are each right by themselves. `undefined`: a wrong one, which is told of already. */
export function adminProblem(
  admin: AdminAddress | null | undefined,
  token: string | null | undefined,
): Omit<ConfigProblem, 'value'> | null {
  if (!admin || isPrivate(admin) || token !== null) return null;
  return { name: 'EDGEPROXY_ADMIN_ADDR', expected: 'a loopback address, or EDGEPROXY_ADMIN_TOKEN set as well' };
}

function parseAdmin(text: string): AdminAddress | null | undefined {
  if (text === 'off') return null;
  if (text.startsWith('unix:'))
    return text.length > 5 && !text.includes('\0') ? { kind: 'unix', path: text.slice(5) } : undefined;
  const endpoint = parseEndpoint(text);
  return endpoint === undefined ? undefined : { kind: 'tcp', ...endpoint };
}

/** Reachable from this machine only; a unix socket is guarded by its file's permissions. */
function isPrivate(address: AdminAddress): boolean {
  return address.kind === 'unix' || address.host.startsWith('127.') || address.host === '::1';
}

function parseToken(text: string): string | null | undefined {
  if (text === '') return null;
  return text.length >= 16 && /^[\x21-\x7e]+$/.test(text) ? text : undefined;
}

function parseOpen(text: string): readonly Openable[] | undefined {
  if (text.trim() === '') return [];
  const words = text.split(',').map((word) => OPENABLE.find((openable) => openable === word.trim()));
  const known = words.filter((word) => word !== undefined);
  return known.length === words.length ? [...new Set(known)] : undefined;
}

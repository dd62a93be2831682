import { availableParallelism } from 'node:os';
import type { Listener } from './domain/entities.ts';
import { MAX_WORKERS } from './domain/worker-count.ts';
import { formatEndpoint, parseAddress } from './ip-address.ts';

export interface Variable<T> {
  readonly default: string;
  /** What it may hold, for the message about a value that it may not hold. */
  readonly expected: string;
  readonly meaning: string;
  /** `undefined`: it may not hold this. */
  readonly parse: (text: string) => T | undefined;
}

/** Where the admin HTTP server listens. */
export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export function variable<T>(
  byDefault: string,
  expected: string,
  meaning: string,
  parse: (text: string) => T | undefined,
): Variable<T> {
  return { default: byDefault, expected, meaning, parse };
}

export function integer(byDefault: string, min: number, max: number, meaning: string, unit = 1): Variable<number> {
  return variable(byDefault, `a whole number from ${min} to ${max}`, meaning, (text) => {
    const number = parseInteger(text, min, max);
    return number === undefined ? undefined : number * unit;
  });
}

export function seconds(byDefault: string, min: number, max: number, meaning: string): Variable<number> {
  return integer(byDefault, min, max, meaning, 1000);
}

/** Decimal digits only: `1e3`, `0x10`, `5s` and `` are mistakes, not numbers. */
function parseInteger(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,12}$/.test(text.trim())) return undefined;
  const number = Number(text);
  return number >= min && number <= max ? number : undefined;
}

export function parsePath(text: string): string | undefined {
  return text.trim() === '' || text.includes('\0') ? undefined : text;
}

export function parseWorkers(text: string): number | undefined {
  return text === 'auto' ? availableParallelism() : parseInteger(text, 1, MAX_WORKERS);
}

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
  ['', false],
]);

export function parseSwitch(text: string): boolean | undefined {
  return SWITCH.get(text.trim().toLowerCase());
}

export function parseToken(text: string): string | null | undefined {
  if (text === '') return null;
  return text.length >= 16 && /^[\x21-\x7e]+$/.test(text) ? text : undefined;
}

/** What of the admin API may be open to those without the token. */
const OPENABLE = ['healthz', 'readyz', 'metrics'] as const;
export type Openable = (typeof OPENABLE)[number];

export function parseOpen(text: string): Openable[] | undefined {
  if (text.trim() === '') return [];
  const words = text.split(',').map((word) => OPENABLE.find((openable) => openable === word.trim()));
  const known = words.filter((word) => word !== undefined);
  return known.length === words.length ? [...new Set(known)] : undefined;
}

export function parseListeners(text: string): Listener[] | undefined {
  const listeners = text.split(',').map(parseListener);
  const complete = listeners.filter((listener) => listener !== undefined);
  // Port 0, any free one, may be asked for several times.
  const named = complete.filter((listener) => listener.port !== 0);
  const distinct = new Set(named.map((listener) => listener.name)).size === named.length;
  return complete.length === listeners.length && distinct ? complete : undefined;
}

function parseListener(text: string): Listener | undefined {
  const [address = '', app = '', ...more] = text.trim().split('=');
  const endpoint = parseEndpoint(address);
  if (endpoint === undefined || more.length > 0 || app.length > 255 || (text.includes('=') && app === ''))
    return undefined;
  return { name: formatEndpoint(endpoint.host, endpoint.port), ...endpoint, app };
}

/** `ip:port` or `[ipv6]:port`; `localhost` is taken for 127.0.0.1. */
export function parseEndpoint(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const [, bracketed, plain = '', portText = ''] = match;
  const port = parseInteger(portText, 0, 65_535);
  const address = parseAddress(bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain));
  if (address === null || port === undefined || (bracketed !== undefined) !== address.text.includes(':'))
    return undefined;
  return { host: address.text, port };
}

export function parseAdmin(text: string): AdminAddress | null | undefined {
  if (text === 'off') return null;
  if (text.startsWith('unix:'))
    return text.length > 5 && !text.includes('\0') ? { kind: 'unix', path: text.slice(5) } : undefined;
  const endpoint = parseEndpoint(text);
  return endpoint === undefined ? undefined : { kind: 'tcp', ...endpoint };
}

/** Reachable from this machine only; a unix socket is guarded by its file's permissions. */
export function isPrivate(address: AdminAddress): boolean {
  return address.kind === 'unix' || address.host.startsWith('127.') || address.host === '::1';
}

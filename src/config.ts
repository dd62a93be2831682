import {
  type AdminAddress,
  integer,
  isPrivate,
  type Openable,
  parseAdmin,
  parseListeners,
  parseOpen,
  parsePath,
  parseSwitch,
  parseToken,
  parseWorkers,
  seconds,
  type Variable,
  variable,
} from './config-parsers.ts';
import type { Listener } from './domain/entities.ts';
import { isRegionCode, REGIONS, type RegionCode } from './domain/value-objects.ts';
import { MAX_WORKERS } from './domain/worker-count.ts';
import { EdgeError } from './errors.ts';

export { type AdminAddress, parseEndpoint, type Variable } from './config-parsers.ts';

/** Everything that an operator can choose, validated. Times are in ms whatever unit their variable has. */
export interface Config {
  readonly listeners: readonly Listener[];
  readonly dbPath: string;
  readonly popRegion: RegionCode;
  readonly dbReloadMs: number;
  /** `null`: the bundled database. */
  readonly geoipPath: string | null;
  readonly bindingTtlMs: number;
  readonly bindingGcIntervalMs: number;
  readonly maxBindings: number;
  readonly workers: number;
  readonly engine: 'auto' | 'stream' | 'epoll';
  /** `null`: off. */
  readonly admin: AdminAddress | null;
  /** `null`: no token is asked for. */
  readonly adminToken: string | null;
  /** What may be read without the token. */
  readonly adminOpen: readonly Openable[];
  readonly connectTimeoutMs: number;
  readonly connectAttempts: number;
  readonly idleTimeoutMs: number;
  readonly halfCloseTimeoutMs: number;
  readonly unackedTimeoutMs: number;
  /** For so long a stop serves on while readiness is gone; 0: not at all. */
  readonly lameDuckMs: number;
  readonly shutdownTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly debug: boolean;
  /** Times of log records as ISO 8601 texts, instead of ms since 1970. */
  readonly logIsoTime: boolean;
}

const WEEK_SECS = 7 * 24 * 3600;

/** The variables, in the order in which people read about them. */
export const VARIABLES = {
  EDGEPROXY_LISTEN_ADDR: variable(
    '0.0.0.0:8080',
    'one or more `ip:port[=app]`, comma-separated, IPv6 in brackets, each address once',
    'where clients connect; `=app` restricts a listener to the backends of one app',
    parseListeners,
  ),
  EDGEPROXY_DB_PATH: variable('routing.db', 'a file path', 'the routing database (SQLite)', parsePath),
  EDGEPROXY_REGION: variable('sa', REGIONS.join(', '), "this POP's region", (text) =>
    isRegionCode(text) ? text : undefined,
  ),
  EDGEPROXY_DB_RELOAD_SECS: seconds('5', 1, 86_400, 'how often to look for changes of the routing and GeoIP databases'),
  EDGEPROXY_GEOIP_PATH: variable(
    '',
    'a file path; unset for the bundled database',
    "a country or city database in MaxMind's format; followed live",
    (text) => text.trim() || null,
  ),
  EDGEPROXY_BINDING_TTL_SECS: seconds('600', 1, 30 * 86_400, 'how long an idle client keeps its backend'),
  EDGEPROXY_BINDING_GC_INTERVAL_SECS: seconds('60', 1, 86_400, 'how often expired bindings are swept'),
  EDGEPROXY_MAX_BINDINGS: integer(
    '1000000',
    1,
    50_000_000,
    'bindings kept at most; the least recently seen goes first',
  ),
  EDGEPROXY_WORKERS: variable(
    'auto',
    `\`auto\` (one a core) or a whole number from 1 to ${MAX_WORKERS}`,
    'number of workers',
    parseWorkers,
  ),
  EDGEPROXY_ENGINE: variable(
    'auto',
    '`auto` (`epoll` where it is built), `stream` or `epoll`',
    'the data plane engine',
    (text) => (text === 'auto' || text === 'stream' || text === 'epoll' ? text : undefined),
  ),
  EDGEPROXY_ADMIN_ADDR: variable(
    '127.0.0.1:8081',
    '`ip:port`, `unix:/path`, or `off`',
    'where the admin HTTP server listens',
    parseAdmin,
  ),
  EDGEPROXY_ADMIN_TOKEN: variable(
    '',
    'at least 16 characters without blanks',
    'bearer token of the admin API; required when it is not on loopback',
    parseToken,
  ),
  EDGEPROXY_ADMIN_OPEN: variable(
    '',
    '`healthz`, `readyz`, `metrics`, comma-separated, or nothing',
    'what of the admin API may be read without the token',
    parseOpen,
  ),
  EDGEPROXY_CONNECT_TIMEOUT_MS: integer('5000', 1, 600_000, 'time for one dial of one backend'),
  EDGEPROXY_CONNECT_ATTEMPTS: integer('3', 1, 16, 'dials for one client'),
  EDGEPROXY_IDLE_TIMEOUT_SECS: seconds(
    '3600',
    0,
    WEEK_SECS,
    'no byte came from or was acknowledged by either side; 0 = off',
  ),
  EDGEPROXY_HALF_CLOSE_TIMEOUT_SECS: seconds('60', 0, WEEK_SECS, 'the same, once one side is done; 0 = off'),
  // What TCP_USER_TIMEOUT is for, which the kernel holds against readers that only pause, too: since Linux 5.11 it also ends
  // a peer that answers every probe of its closed window. 30 s outlast what networks mend by themselves, and the kernel's
  // own patience (net.ipv4.tcp_retries2) is a quarter of an hour.
  EDGEPROXY_UNACKED_TIMEOUT_SECS: seconds(
    '30',
    0,
    WEEK_SECS,
    'a peer that is sent to and answers nothing has vanished; 0 = off',
  ),
  EDGEPROXY_LAME_DUCK_SECS: seconds(
    '0',
    0,
    3600,
    'how long a stop serves on, not ready any more, before it closes its ports',
  ),
  EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: seconds('30', 0, 86_400, 'how long a stop or a roll waits for open connections'),
  EDGEPROXY_HEARTBEAT_TIMEOUT_SECS: seconds(
    '5',
    1,
    300,
    'a worker that is silent for so long is killed and replaced; a pick that takes so long is given up',
  ),
  EDGEPROXY_LOG_TIME: variable(
    'epoch',
    '`epoch` (ms since 1970) or `iso` (ISO 8601, UTC)',
    'how log records tell the time',
    (text) => (text === 'epoch' || text === 'iso' ? text : undefined),
  ),
  DEBUG: variable(
    '',
    '`1` or `true` for the debug log level; `0`, `false` or nothing for none',
    'log level',
    parseSwitch,
  ),
} as const satisfies Record<string, Variable<unknown>>;

export type VariableName = keyof typeof VARIABLES;
type Values = { [Name in VariableName]: NonNullable<ReturnType<(typeof VARIABLES)[Name]['parse']>> | null };

export interface ConfigProblem {
  readonly name: string;
  readonly value: string;
  readonly expected: string;
}

/** A token is named, never shown. */
const SECRET: VariableName = 'EDGEPROXY_ADMIN_TOKEN';

/**
 * Reads the configuration from an environment. Unset means the default.
 * @throws EDGE_ERR_CONFIG with one message that lists every wrong variable, what it holds, and what it may hold
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: ConfigProblem[] = [];
  const entries = (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const variable: Variable<unknown> = VARIABLES[name];
    const text = env[name] ?? variable.default;
    const value = variable.parse(text);
    if (value === undefined) {
      problems.push({ name, value: name === SECRET ? '(not shown)' : text.slice(0, 200), expected: variable.expected });
    }
    return [name, value];
  });
  const values = Object.fromEntries(entries) as Values;

  if (values.EDGEPROXY_ADMIN_ADDR && !isPrivate(values.EDGEPROXY_ADMIN_ADDR) && values.EDGEPROXY_ADMIN_TOKEN === null) {
    const value = env.EDGEPROXY_ADMIN_ADDR ?? '';
    problems.push({
      name: 'EDGEPROXY_ADMIN_ADDR',
      value,
      expected: 'a loopback address, or EDGEPROXY_ADMIN_TOKEN set as well',
    });
  }
  if (problems.length > 0) throw new EdgeError('EDGE_ERR_CONFIG', describeProblems(problems));
  return Object.freeze(toConfig(values));
}

/** Every variable as it is in force. A secret is named, never shown. */
export function effectiveVariables(
  env: Readonly<Record<string, string | undefined>>,
): Record<VariableName, { readonly value: string; readonly source: 'environment' | 'default' }> {
  const entries = (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const given = env[name];
    const value = given ?? VARIABLES[name].default;
    const shown = name === SECRET && value !== '' ? '(set, not shown)' : value;
    return [name, { value: shown, source: given === undefined ? 'default' : 'environment' }];
  });
  return Object.fromEntries(entries);
}

/** Variables with our prefix that we do not know: most likely misspelt. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env).filter(
    (name) => name.startsWith('EDGEPROXY_') && !Object.hasOwn(VARIABLES, name) && !INTERNAL.has(name),
  );
}

/** What the primary tells its workers through the environment. */
export const INCARNATION_VARIABLE = 'EDGEPROXY_INTERNAL_INCARNATION';
/** The primary's pid. */
export const PRIMARY_VARIABLE = 'EDGEPROXY_INTERNAL_PRIMARY';
const INTERNAL: ReadonlySet<string> = new Set([INCARNATION_VARIABLE, PRIMARY_VARIABLE]);

function describeProblems(problems: readonly ConfigProblem[]): string {
  const lines = problems.map(({ name, value, expected }) => `  ${name}=${JSON.stringify(value)}: may hold ${expected}`);
  return `the configuration is wrong in ${problems.length} place${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`;
}

function toConfig(values: Values): Config {
  return {
    listeners: values.EDGEPROXY_LISTEN_ADDR!,
    dbPath: values.EDGEPROXY_DB_PATH!,
    popRegion: values.EDGEPROXY_REGION!,
    dbReloadMs: values.EDGEPROXY_DB_RELOAD_SECS!,
    geoipPath: values.EDGEPROXY_GEOIP_PATH,
    bindingTtlMs: values.EDGEPROXY_BINDING_TTL_SECS!,
    bindingGcIntervalMs: values.EDGEPROXY_BINDING_GC_INTERVAL_SECS!,
    maxBindings: values.EDGEPROXY_MAX_BINDINGS!,
    workers: values.EDGEPROXY_WORKERS!,
    engine: values.EDGEPROXY_ENGINE!,
    admin: values.EDGEPROXY_ADMIN_ADDR,
    adminToken: values.EDGEPROXY_ADMIN_TOKEN,
    adminOpen: values.EDGEPROXY_ADMIN_OPEN!,
    connectTimeoutMs: values.EDGEPROXY_CONNECT_TIMEOUT_MS!,
    connectAttempts: values.EDGEPROXY_CONNECT_ATTEMPTS!,
    idleTimeoutMs: values.EDGEPROXY_IDLE_TIMEOUT_SECS!,
    halfCloseTimeoutMs: values.EDGEPROXY_HALF_CLOSE_TIMEOUT_SECS!,
    unackedTimeoutMs: values.EDGEPROXY_UNACKED_TIMEOUT_SECS!,
    lameDuckMs: values.EDGEPROXY_LAME_DUCK_SECS!,
    shutdownTimeoutMs: values.EDGEPROXY_SHUTDOWN_TIMEOUT_SECS!,
    heartbeatTimeoutMs: values.EDGEPROXY_HEARTBEAT_TIMEOUT_SECS!,
    debug: values.DEBUG!,
    logIsoTime: values.EDGEPROXY_LOG_TIME === 'iso',
  };
}

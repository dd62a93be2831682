// Runs in: cli
import { EdgeError, ERRORS, type ErrorCode } from '../errors.ts';
import { fold } from './table.ts';

/** What an operator who meets a code does about it. */
const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  EDGE_ERR_CONFIG:
    'The message lists every variable that is wrong, and what it may hold. Set it, and ask "edgeproxy check" before the next start.',
  EDGE_ERR_USAGE: 'The message says what is wrong with the call; the command with --help says what it takes.',
  EDGE_ERR_LISTEN:
    'The message names the address and, where that can be told, who has it (ss -ltnp shows it to root). Stop that process, or set another EDGEPROXY_LISTEN_ADDR. Ports below 1024 need CAP_NET_BIND_SERVICE.',
  EDGE_ERR_ADMIN_LISTEN:
    'As for EDGE_ERR_LISTEN, by EDGEPROXY_ADMIN_ADDR. A unix socket needs a directory that exists and that the proxy may write to.',
  EDGE_ERR_GEOIP:
    'Is EDGEPROXY_GEOIP_PATH a whole database in MaxMind\'s format (.mmdb), readable to the proxy\'s user? Unset means the bundled one, which "npm ci" installs. A proxy that runs keeps the database that it has.',
  EDGE_ERR_DB_MISSING:
    'Is EDGEPROXY_DB_PATH (or --db) the file that you mean? A relative path is relative to the working directory. A start creates a missing one, and so does "edgeproxy backends add". A proxy that runs keeps its last good table.',
  EDGE_ERR_DB_UNREADABLE:
    'The message says what is wrong with the file: its permissions, its disk, its content, or a commit that a program left half done, and then what to run. A proxy that runs keeps its last good table, and /readyz says so until the file is mended.',
  EDGE_ERR_DB_LOCKED:
    'Let the program that writes to it finish, or end it. A proxy that runs looks again every EDGEPROXY_DB_RELOAD_SECS, and keeps its last good table until then.',
  EDGE_ERR_DB_SCHEMA: 'Is it a routing database? "edgeproxy help database" shows the table that it has to have.',
  EDGE_ERR_BACKEND_INVALID:
    'The message names the column, its value and what it may hold: "edgeproxy backends set" changes it, "edgeproxy backends list" shows every row that is skipped. A proxy never takes over a table of which no row is good.',
  EDGE_ERR_BACKEND_EXISTS:
    'Change it with "edgeproxy backends set"; with --restore that brings one back that was removed. Or choose another id.',
  EDGE_ERR_BACKEND_UNKNOWN:
    '"edgeproxy backends list" shows those that there are. Is it the database that you mean (--db)?',
  EDGE_ERR_PLATFORM:
    'Run it by the Node.js that comes with it: "npm ci", and then "npx edgeproxy ..." or "npm start". Elsewhere Node.js 24 or newer is needed.',
  EDGE_ERR_CHANNEL:
    'A worker sent its primary what no worker sends, or the other way round. That worker is replaced. If it comes again, it is a defect: please report it with the log around it.',
  EDGE_ERR_PROTOCOL:
    'A worker was started from code of another release than its primary: the code on disk was changed under a running proxy, and the new one speaks another channel protocol. The roll that met it ended, the old workers serve on, and nobody was refused. To take the new release, restart the proxy (its port is closed while it drains); to stay, put the old release back.',
  EDGE_ERR_WORKER_START:
    'The log has the reason just before: an exception with its stack, a signal, or a worker that did not accept within 30 s. A roll ends there, and the workers that were not replaced serve on: mend the code on disk, or put the old one back, and roll again.',
  EDGE_ERR_BUSY:
    'Wait for the roll or the stop that is under way: "edgeproxy workers list" shows how far it is, and "edgeproxy status" what runs.',
  EDGE_ERR_ADMIN_UNREACHABLE:
    'Does the proxy run, and on this host? Name its EDGEPROXY_ADMIN_ADDR with --admin; the log record "ready" has it. With "off" there is none.',
  EDGE_ERR_ADMIN_REFUSED:
    'The message has the answer. If it asks for a token, set EDGEPROXY_ADMIN_TOKEN to that of the proxy; if it is no answer of this release, the command and the proxy are of different ones.',
  EDGE_ERR_OVERLOADED: 'Ask again later, for smaller pages (limit=N), or by fewer clients at once.',
  EDGE_ERR_INTERNAL:
    'It is a defect of edgeProxy, and the log has its stack: please report both. What failed is told and counted (edgeproxy_internal_errors_total), and the proxy serves on.',
};

const CODE = /^EDGE_ERR_/i;

/** Whether a person asks about an error rather than about anything else. */
export function isErrorName(text: string): boolean {
  return CODE.test(text);
}

export interface ErrorText {
  readonly code: ErrorCode;
  readonly exit_code: number;
  readonly meaning: string;
  readonly remedy: string;
}

/** @throws EDGE_ERR_USAGE when there is no such code */
export function errorText(name: string): ErrorText {
  const code = name.toUpperCase();
  if (!isCode(code)) {
    throw new EdgeError('EDGE_ERR_USAGE', `there is no code ${name.slice(0, 100)}: "edgeproxy help errors" lists all`);
  }
  const { exitCode, meaning } = ERRORS[code];
  return { code, exit_code: exitCode, meaning, remedy: REMEDIES[code] };
}

/** In lines of `width` columns at most. */
export function describeError({ code, exit_code, meaning, remedy }: ErrorText, width: number): readonly string[] {
  return [code, ...fold(`${meaning}; exit code ${exit_code}`, width), '', ...fold(remedy, width)];
}

function isCode(name: string): name is ErrorCode {
  return Object.hasOwn(ERRORS, name);
}

// Runs in: primary, worker
import pino, { type DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { AccessLog, AccessRecord } from '../../application/ports/access-log.ts';
import type { Log } from '../../application/ports/log.ts';

/** Access records gather for so long, in ms, or up to so many bytes, before they are written together. */
const ACCESS_FLUSH_MS = 200;
const ACCESS_BLOCK_BYTES = 8 << 10;
/** Bytes of records that may wait for a reader that is slower than we are; beyond them, records are dropped. */
const ACCESS_BACKLOG_BYTES = 16 << 20;

/** JSON lines on stdout, or text for people when that is a terminal. */
export function openLog({ debug, role }: { debug: boolean; role: 'primary' | 'worker' }): Log {
  return logger(debug, role, process.stdout.isTTY ? prettyStream() : pino.destination({ dest: 1, sync: true }));
}

/**
 * Access records on stdout. On a busy host they are thousands a second, so they are written in blocks; what has gathered
 * is written when the process ends, by whatever but SIGKILL.
 */
export function openAccessLog(): AccessLog {
  if (process.stdout.isTTY) {
    const log = logger(false, 'primary', prettyStream());
    return { write: (record: AccessRecord) => log.info({ ...record }, 'connection') };
  }
  const stream = pino.destination({
    dest: 1,
    sync: false,
    minLength: ACCESS_BLOCK_BYTES,
    periodicFlush: ACCESS_FLUSH_MS,
    maxLength: ACCESS_BACKLOG_BYTES,
  });
  const log = logger(false, 'primary', stream);
  process.on('exit', () => stream.flushSync());
  return { write: (record: AccessRecord) => log.info({ ...record }, 'connection') };
}

function prettyStream(): DestinationStream {
  return pretty({ sync: true, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname,role' });
}

function logger(debug: boolean, role: string, stream: DestinationStream): Log {
  const options = { level: debug ? 'debug' : 'info', base: { pid: process.pid, role } };
  const log = pino({ ...options, formatters: { level: (label: string) => ({ level: label }) } }, stream);
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

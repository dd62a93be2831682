// Runs in: primary
import pino, { type DestinationStream } from 'pino';
import type { AccessLog, AccessRecord } from '../../application/ports/access-log.ts';
import type { Log } from '../../application/ports/log.ts';

/** Access records gather for so long, in ms, or up to so many bytes, before they are written together. */
const ACCESS_FLUSH_MS = 200;
const ACCESS_BLOCK_BYTES = 8 << 10;
/** Bytes of records that may wait for a reader that is slower than we are; beyond them, records are dropped. */
const ACCESS_BACKLOG_BYTES = 16 << 20;

/** Only for people, and a good part of the start. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : null;

/** JSON lines on stdout, or text for people when that is a terminal. */
export function openLog({ debug }: { debug: boolean }): Log {
  return logger(debug, prettyStream() ?? pino.destination({ dest: 1, sync: true }));
}

/**
 * Access records on stdout. On a busy host they are thousands a second, so they are written in blocks; what has gathered
 * is written when the process ends, by whatever but SIGKILL.
 */
export function openAccessLog(): AccessLog {
  const stream = prettyStream() ?? bufferedStream();
  const { pid } = process;
  return {
    // The line that pino would write. It is written for every connection, and pino's own way to it, which has to cope with
    // any value, takes ten times as long.
    write: (record: AccessRecord) => {
      stream.write(`${JSON.stringify({ level: 'info', time: Date.now(), pid, ...record, msg: 'connection' })}\n`);
    },
  };
}

function bufferedStream(): DestinationStream {
  const stream = pino.destination({
    dest: 1,
    sync: false,
    minLength: ACCESS_BLOCK_BYTES,
    periodicFlush: ACCESS_FLUSH_MS,
    maxLength: ACCESS_BACKLOG_BYTES,
  });
  process.on('exit', () => stream.flushSync());
  return stream;
}

function prettyStream(): DestinationStream | null {
  return pretty === null ? null : pretty({ sync: true, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' });
}

function logger(debug: boolean, stream: DestinationStream): Log {
  const options = { level: debug ? 'debug' : 'info', base: { pid: process.pid } };
  const log = pino({ ...options, formatters: { level: (label: string) => ({ level: label }) } }, stream);
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

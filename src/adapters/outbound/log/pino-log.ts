// Runs in: primary
import { isatty } from 'node:tty';
import pino, { type DestinationStream } from 'pino';
import type { AccessLog, AccessRecord } from '../../../application/ports/access-log.ts';
import type { Log } from '../../../application/ports/log.ts';
import { messageOf } from '../../../errors.ts';
import { humanLine, type LogObject } from './human-line.ts';
import { LogStream } from './log-stream.ts';

/** JSON lines on stdout, or text for people when that is a terminal; both kinds of records in one stream, in order. */
export interface Logs {
  readonly log: Log;
  readonly accessLog: AccessLog;
  /** Lines that could not be written. */
  readonly dropped: () => number;
  /** How many they are by now, if there were some of late; else 0. */
  readonly lostLately: () => number;
  /** Writes what waits, for `timeoutMs` at most; whether that was enough. */
  readonly end: (timeoutMs: number) => Promise<boolean>;
}

const LATELY_MS = 60_000;

/** `isoTime`: records tell the time as ISO 8601 texts, instead of as ms since 1970. */
export function openLogs({ debug, isoTime = false }: { debug: boolean; isoTime?: boolean }): Logs {
  const forPeople = isatty(1);
  const stream = new LogStream(1, {
    forPeople,
    isoTime,
    pid: process.pid,
    onThrough: (lost) => log.warn({ lost }, 'log lines were lost: the disk was full, or the reader stalled'),
    onThreadFailed: (error) => log.error({ reason: messageOf(error) }, 'the thread that writes the log failed'),
  });
  process.on('exit', () => stream.endNow());
  const log = logger(debug, isoTime, forPeople ? linesForPeople(stream) : stream);
  return {
    log,
    accessLog: {
      get isBehind() {
        return stream.isBehind;
      },
      write: (record: AccessRecord) => stream.gather(record, Date.now()),
    },
    dropped: () => stream.dropped,
    lostLately: () => (Date.now() - stream.droppedAt < LATELY_MS ? stream.dropped : 0),
    end: (timeoutMs) => stream.end(timeoutMs),
  };
}

function linesForPeople(stream: LogStream): DestinationStream {
  return { write: (json) => stream.write(humanLine(JSON.parse(json) as LogObject, new Date())) };
}

function logger(debug: boolean, isoTime: boolean, stream: DestinationStream): Log {
  const options = { level: debug ? 'debug' : 'info', base: { pid: process.pid } };
  const timestamp = isoTime ? pino.stdTimeFunctions.isoTime : true;
  const log = pino({ ...options, timestamp, formatters: { level: (label: string) => ({ level: label }) } }, stream);
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

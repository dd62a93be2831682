// Runs in: primary
import { isatty } from 'node:tty';
import pino, { type DestinationStream } from 'pino';
import type { AccessLog, AccessRecord } from '../../../application/ports/access-log.ts';
import type { Log } from '../../../application/ports/log.ts';
import { connectionLine, humanLine, type LogObject } from './human-line.ts';
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
  const stream = new LogStream(1, (lost) => {
    log.warn({ lost }, 'log lines were lost: the disk was full, or the reader stalled');
  });
  process.on('exit', () => stream.endNow());
  const people = isatty(1) ? forPeople(stream) : null;
  const { pid } = process;
  const now = isoTime ? () => `"${new Date().toISOString()}"` : () => String(Date.now());
  const log = logger(debug, isoTime, people ?? stream);
  return {
    log,
    accessLog: {
      get isBehind() {
        return stream.isBehind;
      },
      write: (record: AccessRecord) => {
        stream.gather(people === null ? accessLine(pid, now(), record) : connectionLine(record, new Date()));
      },
    },
    dropped: () => stream.dropped,
    lostLately: () => (performance.now() - stream.droppedAt < LATELY_MS ? stream.dropped : 0),
    end: (timeoutMs) => stream.end(timeoutMs),
  };
}

/**
 * The line that pino would write. It is written for every connection, and pino's own way to it, which has to cope with any
 * value, takes twenty times as long. What is not quoted here is a number, a word of ours, or an address in its normal form.
 */
function accessLine(pid: number, time: string, record: AccessRecord): string {
  const tried = record.tried === undefined ? '' : `"tried":${JSON.stringify(record.tried)},`;
  return (
    `{"level":"info","time":${time},"pid":${pid},"client":"${record.client}",` +
    `"country":${JSON.stringify(record.country)},"listener":${JSON.stringify(record.listener)},` +
    `"backend":${JSON.stringify(record.backend)},"why":"${record.why}","close":"${record.close}",` +
    `"attempts":${record.attempts},"pickMs":${record.pickMs},"connectMs":${record.connectMs},` +
    `"totalMs":${record.totalMs},"bytesToBackend":${record.bytesToBackend},` +
    `"bytesToClient":${record.bytesToClient},${tried}"routingVersion":${record.routingVersion},"msg":"connection"}\n`
  );
}

function forPeople(stream: LogStream): DestinationStream {
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

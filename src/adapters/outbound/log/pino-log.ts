// Runs in: primary
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import pino, { type DestinationStream } from 'pino';
import type { AccessLog, AccessRecord } from '../../../application/ports/access-log.ts';
import type { Log } from '../../../application/ports/log.ts';
import { LogStream } from './log-stream.ts';

/** Only for people, and a good part of the start. */
const pretty = isatty(1) ? (await import('pino-pretty')).default : null;

/** JSON lines on stdout, or text for people when that is a terminal; both kinds of records in one stream, in order. */
export interface Logs {
  readonly log: Log;
  readonly accessLog: AccessLog;
  /** Lines that could not be written. */
  readonly dropped: () => number;
  /** Writes what waits, for `timeoutMs` at most; whether that was enough. */
  readonly end: (timeoutMs: number) => Promise<boolean>;
}

export function openLogs({ debug }: { debug: boolean }): Logs {
  const stream = new LogStream(1);
  process.on('exit', () => stream.endNow());
  const people = pretty === null ? null : forPeople(stream);
  const { pid } = process;
  return {
    log: logger(debug, people ?? stream),
    accessLog: {
      write: (record: AccessRecord) => {
        const line = accessLine(pid, record);
        if (people === null) stream.gather(line);
        else people.write(line);
      },
    },
    dropped: () => stream.dropped,
    end: (timeoutMs) => stream.end(timeoutMs),
  };
}

/**
 * The line that pino would write. It is written for every connection, and pino's own way to it, which has to cope with any
 * value, takes twenty times as long. What is not quoted here is a number, a word of ours, or an address in its normal form.
 */
function accessLine(pid: number, record: AccessRecord): string {
  return (
    `{"level":"info","time":${Date.now()},"pid":${pid},"client":"${record.client}",` +
    `"country":${JSON.stringify(record.country)},"listener":${JSON.stringify(record.listener)},` +
    `"backend":${JSON.stringify(record.backend)},"why":"${record.why}","close":"${record.close}",` +
    `"attempts":${record.attempts},"pickMs":${record.pickMs},"connectMs":${record.connectMs},` +
    `"totalMs":${record.totalMs},"bytesToBackend":${record.bytesToBackend},` +
    `"bytesToClient":${record.bytesToClient},"routingVersion":${record.routingVersion},"msg":"connection"}\n`
  );
}

function forPeople(stream: LogStream): DestinationStream {
  const destination = new Writable({
    write(chunk, _encoding, done) {
      stream.write(String(chunk));
      done();
    },
  });
  return pretty!({ destination, sync: true, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' });
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

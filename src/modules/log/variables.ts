// Runs in: primary, cli
import { variable } from '../../variable.ts';

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
  ['', false],
]);

export const LOG_VARIABLES = {
  /** Whether as ISO 8601 texts. */
  EDGEPROXY_LOG_TIME: variable(
    'logIsoTime',
    'epoch',
    '`epoch` (ms since 1970) or `iso` (ISO 8601, UTC)',
    'how log records tell the time',
    (text) => (text === 'epoch' || text === 'iso' ? text === 'iso' : undefined),
  ),
  DEBUG: variable(
    'debug',
    '',
    '`1` or `true` for the debug log level; `0`, `false` or nothing for none',
    'log level',
    (text) => SWITCH.get(text.trim().toLowerCase()),
  ),
};

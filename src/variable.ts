import { parseAddress } from './ip-address.ts';

/** One variable of the environment, and what the configuration makes of it. */
export interface Variable<T, Field extends string = string> {
  /** Its name in `Config`. */
  readonly field: Field;
  readonly default: string;
  /** What it may hold, for the message about a value that it may not hold. */
  readonly expected: string;
  readonly meaning: string;
  /** `undefined`: it may not hold this. */
  readonly parse: (text: string) => T | undefined;
  /** It is named, never shown. */
  readonly isSecret?: true;
}

export interface ConfigProblem {
  readonly name: string;
  readonly value: string;
  readonly expected: string;
}

export function variable<Field extends string, T>(
  field: Field,
  byDefault: string,
  expected: string,
  meaning: string,
  parse: (text: string) => T | undefined,
): Variable<T, Field> {
  return { field, default: byDefault, expected, meaning, parse };
}

/** A whole number; `unit`: what one of it is in the configuration. */
export function integer<Field extends string>(
  field: Field,
  byDefault: string,
  min: number,
  max: number,
  meaning: string,
  unit = 1,
): Variable<number, Field> {
  return variable(field, byDefault, `a whole number from ${min} to ${max}`, meaning, (text) => {
    const number = parseInteger(text, min, max);
    return number === undefined ? undefined : number * unit;
  });
}

/** Seconds, which are ms in the configuration. */
export function seconds<Field extends string>(
  field: Field,
  byDefault: string,
  min: number,
  max: number,
  meaning: string,
): Variable<number, Field> {
  return integer(field, byDefault, min, max, meaning, 1000);
}

/** Decimal digits only: `1e3`, `0x10`, `5s` and `` are mistakes, not numbers. */
export function parseInteger(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,12}$/.test(text.trim())) return undefined;
  const number = Number(text);
  return number >= min && number <= max ? number : undefined;
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

/** Of all variables that are ours alone. */
export const PREFIX = 'EDGEPROXY_';

/** What the primary tells its workers through the environment: what they need before they can be told anything else. */
export const INCARNATION_VARIABLE = 'EDGEPROXY_INTERNAL_INCARNATION';
/** The primary's pid. */
export const PRIMARY_VARIABLE = 'EDGEPROXY_INTERNAL_PRIMARY';
/** Nobody's to set. */
export const INTERNAL: readonly string[] = [INCARNATION_VARIABLE, PRIMARY_VARIABLE];

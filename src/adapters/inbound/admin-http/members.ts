// Runs in: primary
import { EdgeError } from '../../../errors.ts';

/** Reads one member; throws for what it may not hold. */
type Read<T> = (value: unknown, name: string) => T;
export type Readers = Readonly<Record<string, Read<unknown>>>;
export type Values<Given extends Readers> = { readonly [Name in keyof Given]?: ReturnType<Given[Name]> };

/**
 * The members of a query or of a body, each read by its reader. Nothing is coerced and nothing is passed over: a member
 * that is misspelt would otherwise do something else than its sender wanted, without a word.
 * @throws EDGE_ERR_USAGE
 */
export function readMembers<const Given extends Readers>(given: unknown, readers: Given): Values<Given> {
  if (given === undefined || given === null) return {} as Values<Given>;
  if (typeof given !== 'object' || Array.isArray(given)) throw usage('the body must be a JSON object');
  const known = Object.keys(readers);
  const values = Object.entries(given).map(([name, value]) => {
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read === undefined) {
      const expected = known.length === 0 ? 'none is taken here' : `there are: ${known.join(', ')}`;
      throw usage(`there is no ${shown(name)} here; ${expected}`);
    }
    return [name, read(value, name)];
  });
  return Object.fromEntries(values) as Values<Given>;
}

/** A text, as a query has it; one that is given twice is none. */
export const text: Read<string> = (value, name) => {
  if (typeof value !== 'string') throw usage(`${name} must be given once, as text`);
  return value;
};

/** Decimal digits, as a query has them. */
export function digits(min: number, max: number): Read<number> {
  return (value, name) => {
    const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw usage(`${name}=${shown(value)}: expected a whole number from ${min} to ${max}`);
  };
}

/** A number of JSON. */
export function integer(min: number, max: number): Read<number> {
  return (value, name) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw usage(`${name} is ${JSON.stringify(value).slice(0, 100)}: expected a whole number from ${min} to ${max}`);
  };
}

export function oneOf<const Word extends string>(words: readonly Word[]): Read<Word> {
  return (value, name) => {
    const word = words.find((word) => word === value);
    if (word !== undefined) return word;
    throw usage(`${name}=${shown(value)}: expected one of ${words.join(', ')}`);
  };
}

/** Of what a client sent, so much as helps to find it. */
function shown(value: unknown): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, 100);
}

function usage(message: string): EdgeError {
  return new EdgeError('EDGE_ERR_USAGE', message);
}

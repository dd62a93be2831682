// Runs in: cli
import { type Command, InvalidArgumentError } from 'commander';

/** The option that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print JSON, for programs');
}

/** Reads a whole number in decimal digits: `1e3`, `0x10` and `5s` are mistakes. Its range is the caller's to check. */
export function wholeNumber(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number.');
  return Number(text);
}

/** The same, from `min` to `max`. */
export function wholeNumberIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = wholeNumber(text);
    if (number < min || number > max) {
      throw new InvalidArgumentError(`It has to be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}

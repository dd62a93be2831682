// Runs in: cli
import type { Command } from 'commander';
import type { BackendChanges } from '../adapters/outbound/sqlite/backend-fields.ts';
import { REGIONS } from '../domain/value-objects.ts';
import { wholeNumber } from './arguments.ts';

/** The fields of a backend as the parser gives them. Their values are checked where they are written. */
export interface BackendOptions {
  readonly app?: string;
  readonly region?: string;
  readonly country?: string;
  readonly host?: string;
  readonly port?: number;
  readonly weight?: number;
  readonly softLimit?: number;
  readonly hardLimit?: number;
}

/** Adds the options; `defaults` are named in the help only. */
export function addBackendOptions(command: Command, defaults: Partial<Record<keyof BackendOptions, string>>): Command {
  const byDefault = (name: keyof BackendOptions): string => {
    const value = defaults[name];
    return value === undefined ? '' : ` (default: ${value})`;
  };
  return command
    .option('--region <code>', `its region: ${REGIONS.join(', ')}`)
    .option('--wg-ip, --host <ip>', 'its IPv4 or IPv6 address; names are not resolved')
    .option('--port <n>', '1 to 65535', wholeNumber)
    .option('--app <name>', `the app that it serves; '' for listeners of any app only${byDefault('app')}`)
    .option('--country <code>', `ISO 3166-1 alpha-2, such as BR; '' for unknown${byDefault('country')}`)
    .option('--weight <n>', `share of the load, 0 to 10000; 0 takes no new clients${byDefault('weight')}`, wholeNumber)
    .option('--soft-limit <n>', `connections that it carries comfortably${byDefault('softLimit')}`, wholeNumber)
    .option('--hard-limit <n>', `connections that it never exceeds; 0 = none${byDefault('hardLimit')}`, wholeNumber);
}

/** What was given, and nothing else. */
export function changesOf(options: BackendOptions): BackendChanges {
  const { app, region, country, host, port, weight, softLimit, hardLimit } = options;
  const fields = { app, region, country, host, port, weight, softLimit, hardLimit };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

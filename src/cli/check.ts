// Runs in: cli
import type { Command } from 'commander';
import { type Environment, readConfig, unknownVariables, VARIABLES, type VariableName } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { addJsonOption, type CommonOptions } from './arguments.ts';
import { checkAddresses, describeAddresses } from './check-addresses.ts';
import { checkDatabase, describeDatabase } from './check-database.ts';
import { checkGeoip, describeGeoip } from './check-geoip.ts';
import { checkHost, describeHost } from './check-host.ts';
import { type Block, count, remark, show } from './output.ts';

export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .summary('validate configuration, addresses, routing database and GeoIP database')
    .description(
      'Validate the configuration in the environment, the addresses to listen on, the routing database and the GeoIP ' +
        'database, as a start by this user would. Starts nothing, and changes nothing.',
    )
    .action((options: CommonOptions) => check(process.env, options.json ?? false));
  addJsonOption(command).addHelpText(
    'after',
    `
Exits with 0 when a start would succeed, whatever is warned of; else with the
exit code of that start: 2 for a variable that is wrong, 3 for an address that
cannot be had, 4 for a database that cannot be read or made. Beside the running
proxy, the addresses that it has are no failure: it is told by its routing
database, on Linux, to its own user and root. Those of any other process are,
and who has them is said.

"edgeproxy help configuration" has every variable, its default and what it may
hold.

Example:
  EDGEPROXY_REGION=eu edgeproxy check`,
  );
}

interface EffectiveVariable {
  readonly name: string;
  /** `null`: a secret, or nothing. */
  readonly value: string | null;
  readonly source: 'default' | 'set';
}

async function check(env: Environment, json: boolean): Promise<void> {
  const unknown = unknownVariables(env);
  const config = readConfigWith(env, () => {
    // A misspelt variable is often why another one is wrong. JSON on stderr stays one document.
    if (!json) for (const name of unknown) remark(unknownWarning(name));
  });
  const variables = (Object.keys(VARIABLES) as VariableName[]).map((name) => effective(env, name));
  const addresses = checkAddresses(config);
  const database = await checkDatabase(config);
  const geoip = await checkGeoip(config.geoipPath);
  const { errors: hostErrors, ...host } = checkHost(config);
  const errors = [addresses.error, database.error, geoip.error, ...hostErrors].filter((error) => error !== null);
  const warnings = [...unknown.map(unknownWarning), ...database.warnings, ...host.warnings];

  const value = {
    ok: errors.length === 0,
    variables,
    addresses: withPlainError(addresses),
    database: withPlainError(database),
    geoip: withPlainError(geoip),
    host,
    errors: errors.map(({ code, message }) => ({ code, message })),
    warnings,
    unknown_variables: unknown,
  };
  show(json, value, () => [
    variablesTable(env, variables, config.workers),
    '',
    ...describeAddresses(addresses),
    ...describeDatabase(database),
    ...describeGeoip(geoip),
    ...describeHost({ ...host, errors: hostErrors }),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...(errors.length > 0 ? [] : [warnings.length > 0 ? `ok, with ${count(warnings.length, 'warning')}` : 'ok']),
  ]);
  const [first] = errors;
  if (first === undefined) return;
  const messages = errors.map((error) => error.message);
  const message = messages.length === 1 ? first.message : `several things are wrong:\n  ${messages.join('\n  ')}`;
  throw new EdgeError(first.code, message, { cause: first });
}

function readConfigWith(env: Environment, onFailure: () => void): ReturnType<typeof readConfig> {
  try {
    return readConfig(env);
  } catch (error) {
    onFailure();
    throw error;
  }
}

function unknownWarning(name: string): string {
  return `${name} is no variable of edgeProxy and is ignored: is it misspelt?`;
}

function effective(env: Environment, name: VariableName): EffectiveVariable {
  const text = env[name] ?? VARIABLES[name].default;
  const value = name === 'EDGEPROXY_ADMIN_TOKEN' || text === '' ? null : text;
  return { name, value, source: env[name] === undefined ? 'default' : 'set' };
}

function variablesTable(env: Environment, variables: readonly EffectiveVariable[], workers: number): Block {
  const shown = ({ name, value }: EffectiveVariable): string => {
    if (name === 'EDGEPROXY_ADMIN_TOKEN') return env[name] ? '(not shown)' : '(none)';
    if (name === 'EDGEPROXY_GEOIP_PATH' && value === null) return '(bundled)';
    if (name === 'EDGEPROXY_WORKERS' && value === 'auto') return `auto (${workers})`;
    return value ?? '(none)';
  };
  return {
    head: ['VARIABLE', 'VALUE', 'SOURCE'],
    rows: variables.map((variable) => [variable.name, shown(variable), variable.source]),
  };
}

function withPlainError<T extends { readonly error: EdgeError | null }>(report: T) {
  const { error } = report;
  return { ...report, error: error === null ? null : { code: error.code, message: error.message } };
}
